#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/environment.h"
#include "app/usage.h"
#include "core/files.h"
#include "core/shell_words.h"
#include "core/text_table.h"
#include "kernels/open_device.h"
#include "train/init_config.h"
#include "train/plan_setup.h"
#include "train/registries.h"

namespace lmms::app {
namespace {

namespace fs = std::filesystem;

struct InitWords {
  train::InitRequest request;
  std::string output = "config.yaml";
  std::string media_folder;
  bool force = false;
};

/// Refuses a name that is no config's, so that a mistyped line overwrites no data, and one that is
/// there already.
void check_output(const InitWords& words) {
  if (words.output == "-") return;
  const fs::path file = words.output;
  std::error_code none;
  if (file.extension() != ".yaml" && file.extension() != ".yml") {
    throw Error("-o " + words.output, "expected the name of a config",
                "end it with .yaml, or write - for the standard output");
  }
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, none)) {
    throw Error("-o " + words.output, "there is no such folder",
                "make it first: mkdir -p " + folder.string());
  }
  if (fs::exists(file, none) && !words.force) {
    throw Error(words.output, "is there already and stays as it is",
                "another name: -o NAME.yaml; or overwrite it: --force");
  }
}

/// The command line as it was typed, for the comment on top.
std::string command_line(const InitWords& words) {
  std::string line = "lmms init " + shell_escaped(words.request.model);
  for (const std::string& data : words.request.data) line += " " + shell_escaped(data);
  if (!words.request.card.empty()) line += " --card " + shell_escaped(words.request.card);
  if (!words.media_folder.empty()) line += " --media " + shell_escaped(words.media_folder);
  if (words.request.from_scratch) line += " --from-scratch";
  return line;
}

void run(InitWords words, const train::Registries& registries) {
  check_output(words);
  const train::Place here = place();
  train::InitRequest& request = words.request;
  request.command = command_line(words);
  for (const std::string& plugin : registries.plugins)
    request.command += " --plugin " + shell_escaped(plugin);
  request.output = words.output == "-" ? "config.yaml" : words.output;
  if (!words.media_folder.empty()) request.media_folder = words.media_folder;
  // As training would choose: a GPU that is there and cannot be used is no reason for the CPU.
  if (request.card.empty() && kernels::open_device(here.device(/*use_cpu=*/false)).is_cpu())
    request.card = "cpu";
  const train::InitResult result = train::init_config(request, here, registries);
  if (words.output == "-") {
    std::fwrite(result.yaml.data(), 1, result.yaml.size(), stdout);
    return;
  }
  write_atomically(words.output, result.yaml);
  const std::string table = render_table(result.found, columns_of(stdout, 100));
  std::printf("%s\nwritten: %s\n\n  lmms preview %s\n  lmms train %s\n", table.c_str(),
              words.output.c_str(), words.output.c_str(), words.output.c_str());
}

}  // namespace

void add_init(CLI::App& app, train::Registries& registries, Outcome&) {
  CLI::App* command = app.add_subcommand(
      "init", "Write a commented config for a model and data: what can be found out is filled in");
  auto words = std::make_shared<InitWords>();
  command
      ->add_option("model", words->request.model,
                   "The folder of a Hugging Face checkpoint, or its name in the hub's cache")
      ->required()
      ->type_name("MODEL");
  command
      ->add_option("data", words->request.data,
                   "Files or folders of json, jsonl, arrow, parquet or csv; several are a mixture")
      ->required()
      ->type_name("DATA [DATA ...]");
  command->add_option("-o,--output", words->output, "The config's file (config.yaml); - prints it")
      ->type_name("FILE");
  command
      ->add_option("--card", words->request.card,
                   "What it is to train on: " + train::planned_cards() +
                       " (this machine's GPU, else its CPU)")
      ->type_name("CARD");
  command
      ->add_option("--media", words->media_folder,
                   "The folder that paths of images and videos are relative to, where it is not "
                   "found near the data")
      ->type_name("DIR");
  command->add_flag("--from-scratch", words->request.from_scratch,
                    "Random weights in the shape of the folder's config.json");
  command->add_flag("--force", words->force, "Overwrite a config that is there");
  command->footer(
      "\nReads the model's config and tokenizer, measures samples of the data, finds an evaluation "
      "split and a folder of images beside them, and lets the planner choose what fits the card. "
      "Reads no weights.");
  add_plugin_option(*command, registries);
  command->callback([words, &registries] { run(*words, registries); });
}

}  // namespace lmms::app
