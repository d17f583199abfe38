#include "inspect/preview/preview.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/environment.h"
#include "app/usage.h"
#include "core/files.h"
#include "core/log.h"
#include "inspect/preview/page.h"
#include "inspect/preview/terminal.h"
#include "train/preview_setup.h"

namespace lmms::app {
namespace {

struct PreviewWords {
  std::vector<std::string> config;
  inspect::preview::Options options;
  inspect::preview::TerminalOptions terminal;
  bool evaluation = false;
  bool no_colour = false, colour = false;
  std::string html;  ///< the page's file; empty: none
};

/// Refuses a name that is no page's, so that a mistyped line overwrites no config and no data.
void check_page_name(const std::filesystem::path& file) {
  if (file.extension() != ".html" && file.extension() != ".htm") {
    throw Error("--html " + file.string(), "expected the name of a page", "end it with .html");
  }
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  if (!std::filesystem::is_directory(folder)) {
    throw Error("--html " + file.string(), "there is no such folder",
                "make it first: mkdir -p " + folder.string());
  }
}

void run(const PreviewWords& words, const train::Registries& registries) {
  if (!words.html.empty()) check_page_name(words.html);
  const train::LoadedConfig loaded = train::load_train_config(words.config, home(), registries);
  train::check_paths(loaded, hub_cache(), train::Reads::data);
  inspect::preview::Options options = words.options;
  options.pictures = !words.html.empty();
  const auto preview = inspect::preview::make_preview(
      train::preview_input(loaded, words.evaluation, hub_cache()), options);
  const inspect::preview::Screen screen{
      .colour = !words.no_colour && (words.colour || wants_colour(stdout)),
      .width = columns_of(stdout, 100)};
  // Before the terminal: a pager that is closed early ends the program.
  if (!words.html.empty()) write_atomically(words.html, inspect::preview::render_page(preview));
  const std::string text = inspect::preview::render_terminal(preview, screen, words.terminal);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
  if (!words.html.empty()) log::info("written: " + words.html);
}

}  // namespace

void add_preview(CLI::App& app, const train::Registries& registries, Outcome&) {
  CLI::App* command = app.add_subcommand(
      "preview",
      "Show samples and packed rows as the model will see them, before anything is trained");
  auto words = std::make_shared<PreviewWords>();
  add_config_words(*command, words->config, "dataset_config.packing_length=4096");
  command
      ->add_option("-n", words->options.rows_per_source,
                   "Rows from the front of each source (3; of many sources fewer)")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}))
      ->type_name("N");
  command
      ->add_option("--row", words->options.named_rows,
                   "Show this row instead, as errors print it: chats.jsonl:18233; also "
                   "SOURCE_NUMBER:ROW, or ROW of the only source. May be given several times")
      ->allow_extra_args(false)
      ->type_name("FILE:ROW")
      ->excludes("-n");
  command->add_flag("--eval", words->evaluation, "The evaluation data instead");
  command->add_flag("--ids", words->terminal.ids,
                    "A table with id, target and position of each token instead of the text");
  command->add_flag("--full", words->terminal.full, "Long samples whole, not without their middle");
  command
      ->add_option("--html", words->html,
                   "Write a page too, with every token of every sample; opens in any browser")
      ->type_name("FILE.html");
  auto* colour = command->add_flag("--color", words->colour, "Colours even where no terminal is");
  command->add_flag("--no-color", words->no_colour, "No colours: brackets mark what is trained")
      ->excludes(colour);
  command->footer(
      "\nReads the data and the tokenizer that the config names; loads no weights, makes no index, "
      "and writes nothing but the page of --html.");
  command->callback([words, &registries] { run(*words, registries); });
}

}  // namespace lmms::app
