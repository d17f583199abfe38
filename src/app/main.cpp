// The program `lmms`, as the launcher calls it (start/). Everything that reads the environment or
// the command line is in this folder.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/usage.h"
#include "core/version.h"
#include "start/entry.h"
#include "train/registries.h"

namespace {

int code(lmms::Exit exit) {
  return static_cast<int>(exit);
}

int run(int argc, char** argv) {
  CLI::App app{
      "lmms trains multimodal models: one native program, from a YAML config to a Hugging Face "
      "checkpoint.",
      "lmms"};
  app.set_version_flag("--version", std::string("lmms ") + lmms::kVersion);
  app.formatter(std::make_shared<lmms::app::HelpFormatter>());
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 2 bad config or data, 3 interrupted after saving, 1 anything else.");
  std::signal(SIGXFSZ, SIG_IGN);  // a file too large is then an error of its write
  lmms::train::Registries registries = lmms::train::built_in_registries();
  lmms::app::Outcome outcome;
  lmms::app::add_init(app, registries, outcome);
  lmms::app::add_train(app, registries, outcome);
  lmms::app::add_preview(app, registries, outcome);
  lmms::app::add_plan(app, registries, outcome);
  lmms::app::add_doctor(app, registries, outcome);
  lmms::app::add_eval(app, registries, outcome);
  lmms::app::add_generate(app, registries, outcome);
  lmms::app::add_sample(app, registries, outcome);
  lmms::app::add_fid(app, outcome);
  lmms::app::add_cache_latents(app, registries, outcome);
  lmms::app::add_chat(app, registries, outcome);
  lmms::app::add_list(app, registries, outcome);
  lmms::app::add_report(app, outcome);
  lmms::app::add_help(app, registries, outcome);
  lmms::app::add_completion(app, registries, outcome);
  if (argc < 2) {
    std::fputs(app.help().c_str(), stderr);
    return code(lmms::Exit::bad_input);
  }
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    std::vector<std::string> reversed(words.rbegin(), words.rend());  // as CLI11 takes them
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e), code(lmms::Exit::done);  // --help, --version
    std::fprintf(stderr, "%s\n", lmms::app::explain(app, e, words).c_str());
    return code(lmms::Exit::bad_input);
  } catch (const lmms::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return code(e.exit());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "lmms failed: %s\n", e.what());
    return code(lmms::Exit::failed);
  }
  return code(outcome.exit);
}

/// `exit`, or `failed` if what was printed has not arrived: the disk of `lmms eval ... > file` is
/// full. A reader that has gone (`| head`) has what it wanted.
int after_output(int exit) {
  errno = 0;
  const bool lost = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
  if (!lost || errno == EPIPE) return exit;
  std::fprintf(stderr, "standard output: writing failed%s%s\n    fix: free space on its disk\n",
               errno != 0 ? ": " : "", errno != 0 ? std::strerror(errno) : "");
  return exit == code(lmms::Exit::done) ? code(lmms::Exit::failed) : exit;
}

}  // namespace

void lmms_main(int argc, char** argv) {
  const int status = after_output(run(argc, argv));
  // Everything of ours is closed and on disk. The static destructors of libtorch's CUDA half, which
  // take its 3,000 operators apart, are left out: on some hosts they run after those of libstdc++
  // and abort a run that has succeeded.
  std::fflush(nullptr);
  std::_Exit(status);
}
