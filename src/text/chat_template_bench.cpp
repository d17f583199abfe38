/// Chats a second to ids and targets, on one thread: by the built-in layout and by templates of the
/// checkpoint, of four turns and of twenty.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <filesystem>

#include "core/files.h"
#include "core/format.h"
#include "text/chat_template.h"

namespace lmms::text {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTokenizer = "tests/parity/data/tokenizer/chat";

Chat chat_of(int turns) {
  Chat chat;
  for (int i = 0; i < turns; ++i) {
    std::string text;
    for (int n = 0; n < 12; ++n)
      text += fmt::format("Sentence {} of turn {} says a few words. ", n, i);
    chat.messages.push_back(
        {i % 2 == 0 ? "user" : "assistant", {ChatPart{PartKind::text, std::move(text)}}});
  }
  return chat;
}

/// The templates of tests/parity/data/chat_templates; empty: the built-in layout.
ChatTemplate chats_of(const std::string& name) {
  if (name.empty()) return ChatTemplate::create(Tokenizer::load(kTokenizer).take()).take();
  const fs::path folder = fs::temp_directory_path() / fmt::format("chat_bench_{}", ::getpid());
  fs::create_directories(folder);
  for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
    fs::copy(fs::path(kTokenizer) / file, folder, fs::copy_options::overwrite_existing);
  write_atomically(
      folder / "chat_template.jinja",
      read_file(fs::path("tests/parity/data/chat_templates") / (name + ".jinja")).take());
  const Tokenizer tokenizer = Tokenizer::load(folder).take();
  fs::remove_all(folder);
  return ChatTemplate::create(tokenizer, CheckpointTemplate::create(tokenizer).take(), {});
}

void encode(benchmark::State& state, const std::string& name, int turns) {
  const ChatTemplate chats = chats_of(name);
  const Chat chat = chat_of(turns);
  Tokenizer::Scratch scratch;
  for (auto run : state) benchmark::DoNotOptimize(chats.encode(chat, scratch).ok());
  state.SetItemsProcessed(state.iterations());
}

void write(benchmark::State& state, const std::string& name, int turns) {
  const ChatTemplate chats = chats_of(name);
  const Chat chat = chat_of(turns);
  for (auto run : state) benchmark::DoNotOptimize(chats.own()->write_prompt(chat).ok());
  state.SetItemsProcessed(state.iterations());
}

const bool registered = [] {
  for (const int turns : {4, 20}) {
    for (const char* name : {"", "chatml", "qwen3_thinking", "olmo2"}) {
      const std::string of = *name == '\0' ? "builtin" : name;
      const auto add = [&](const char* what, auto run) {
        benchmark::RegisterBenchmark(fmt::format("{}/{}/{}", what, of, turns).c_str(),
                                     [=](benchmark::State& state) { run(state, name, turns); });
      };
      add("encode", encode);
      if (*name != '\0') add("write", write);
    }
  }
  return true;
}();

}  // namespace
}  // namespace lmms::text
