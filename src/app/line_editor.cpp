#include "app/line_editor.h"

#include <histedit.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <deque>
#include <optional>
#include <utility>

#include "core/error.h"
#include "core/terminal.h"

namespace lmms::app {
namespace {

// What a person goes back through with Up.
constexpr int kMostLines = 1000;
// Between the bytes of one key's sequence; a person's Escape comes alone.
constexpr int kSequencePause = 50;  // ms

constexpr std::string_view kPasteBegins = "\x1b[200~", kPasteEnds = "\x1b[201~";

/// Asks the terminal to say what is pasted, or no longer.
void mark_pastes(bool on) {
  const char* terminal = std::getenv("TERM");
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return;
  std::fputs(on ? "\x1b[?2004h" : "\x1b[?2004l", stdout);
  std::fflush(stdout);
}

// The signals that a prompt must not be lost by, and how each is noticed: a bit, and a wake of the
// poll below. Both live as long as the process.
constexpr std::array kSignals{SIGINT, SIGWINCH, SIGCONT, SIGTERM, SIGHUP};
std::atomic<unsigned> arrived{0};
std::atomic<int> wake{-1};

unsigned bit_of(int signal) {
  const auto* place = std::find(kSignals.begin(), kSignals.end(), signal);
  return 1U << (place - kSignals.begin());
}

void notice_signal(int signal) {
  const int saved = errno;
  arrived.fetch_or(bit_of(signal));
  const uint64_t one = 1;
  if (::write(wake, &one, sizeof(one)) < 0) {  // it is full: awake already
  }
  errno = saved;
}

/// Notices the signals while it lives; afterwards their handlers are those before it.
class NoticedSignals {
 public:
  NoticedSignals() {
    if (wake < 0) wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    arrived = 0;
    struct sigaction action {};
    action.sa_handler = notice_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &before_[i]);
  }
  ~NoticedSignals() {
    for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
  }
  NoticedSignals(const NoticedSignals&) = delete;
  NoticedSignals& operator=(const NoticedSignals&) = delete;

 private:
  std::array<struct sigaction, kSignals.size()> before_{};
};

bool take_signal(int signal) {
  return (arrived.fetch_and(~bit_of(signal)) & bit_of(signal)) != 0;
}

/// UTF-8 while it lives, in this thread alone: whatever LANG says, or where it says nothing (a bare
/// container), models and people write it.
class Utf8 {
 public:
  Utf8() : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (locale_ != nullptr) before_ = ::uselocale(locale_);
  }
  ~Utf8() {
    if (locale_ == nullptr) return;
    ::uselocale(before_);
    ::freelocale(locale_);
  }
  Utf8(const Utf8&) = delete;
  Utf8& operator=(const Utf8&) = delete;

 private:
  locale_t locale_, before_ = nullptr;
};

struct Freed {
  void operator()(EditLine* editor) const { ::el_end(editor); }
  void operator()(History* history) const { ::history_end(history); }
};

// What all of them begin with.
std::string common_beginning(const std::vector<std::string>& texts) {
  std::string common = texts.front();
  for (const std::string& text : texts) {
    const auto [end, ignored] =
        std::mismatch(common.begin(), common.end(), text.begin(), text.end());
    common.erase(end, common.end());
  }
  // not in the middle of a character
  while (!common.empty() && common.size() < texts.front().size() &&
         (static_cast<unsigned char>(texts.front()[common.size()]) & 0xC0) == 0x80)
    common.pop_back();
  return common;
}

int characters_of(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

/// The texts from byte `begin` on, in lines of the terminal's width.
std::string list_of(const std::vector<std::string>& texts, size_t begin) {
  constexpr size_t kMost = 100;
  const int width = terminal_columns(STDOUT_FILENO, 80);
  std::string list = "\n";
  int used = 0;
  for (size_t i = 0; i < std::min(texts.size(), kMost); ++i) {
    const std::string text = texts[i].substr(begin);
    const int cells = characters_of(text) + 2;
    if (used > 0 && used + cells > width) {
      list += '\n';
      used = 0;
    }
    list += text + "  ";
    used += cells;
  }
  if (texts.size() > kMost) list += "... and " + std::to_string(texts.size() - kMost) + " more";
  return list + '\n';
}

}  // namespace

struct LineEditor::State {
  std::function<Completions(std::string_view)> complete;
  std::unique_ptr<History, Freed> history;
  std::unique_ptr<EditLine, Freed> editor;
  std::string prompt;
  std::deque<char> unread;  // bytes that were read ahead
  std::optional<Line::Kind> stopped;
  int ended_by = 0;  // a signal that ends programs

  static State& of(EditLine* editor) {
    void* data = nullptr;
    ::el_get(editor, EL_CLIENTDATA, &data);
    return *static_cast<State*>(data);
  }
  static char* prompt_of(EditLine* editor) { return of(editor).prompt.data(); }

  std::optional<char> next_byte(int timeout);
  bool obey_signals();
  void leave_by(Line::Kind kind, const char* shown);
  int next_character(wchar_t* out);
  bool begins_paste();
  void take_paste();
  unsigned char complete_word();
};

/// The next byte of the terminal within `timeout` ms (-1: however long it takes), or nothing: the
/// terminal is gone, the time is over, or a signal has to be seen to.
std::optional<char> LineEditor::State::next_byte(int timeout) {
  if (!unread.empty()) {
    const char byte = unread.front();
    unread.pop_front();
    return byte;
  }
  std::array<pollfd, 2> waits{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{wake, POLLIN, 0}};
  const int ready = ::poll(waits.data(), waits.size(), timeout);
  if (ready < 0 && errno == EINTR) return std::nullopt;
  if ((waits[1].revents & POLLIN) != 0) {
    uint64_t count = 0;
    if (::read(wake, &count, sizeof(count)) < 0) {
    }
    return std::nullopt;
  }
  if (ready == 0) return std::nullopt;
  char byte = 0;
  const ssize_t n = ::read(STDIN_FILENO, &byte, 1);
  if (n == 1) return byte;
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return std::nullopt;
  stopped = Line::Kind::end;
  return std::nullopt;
}

void LineEditor::State::leave_by(Line::Kind kind, const char* shown) {
  // from the line's last row on, whatever stands below
  const LineInfo* line = ::el_line(editor.get());
  ::el_cursor(editor.get(), static_cast<int>(line->lastchar - line->cursor));
  ::el_set(editor.get(), EL_REFRESH);
  std::fputs(shown, stdout);
  std::fflush(stdout);
  stopped = kind;
}

/// True if the line is over.
bool LineEditor::State::obey_signals() {
  if (take_signal(SIGCONT)) {  // the shell had the terminal in between
    ::el_set(editor.get(), EL_PREP_TERM, 0);
    ::el_set(editor.get(), EL_PREP_TERM, 1);
    mark_pastes(true);
    ::el_set(editor.get(), EL_REFRESH);
  }
  if (take_signal(SIGWINCH)) {
    ::el_resize(editor.get());
    ::el_set(editor.get(), EL_REFRESH);
  }
  for (const int signal : {SIGTERM, SIGHUP}) {
    if (!take_signal(signal)) continue;
    ended_by = signal;
    leave_by(Line::Kind::end, "\n");
  }
  if (!stopped && take_signal(SIGINT)) {
    const LineInfo* line = ::el_line(editor.get());
    leave_by(line->lastchar > line->buffer ? Line::Kind::cleared : Line::Kind::refused, "^C\n");
  }
  return stopped.has_value();
}

/// Behind an Escape: whether what follows begins what the terminal pastes. If not, it is read
/// again.
bool LineEditor::State::begins_paste() {
  std::string seen(kPasteBegins.substr(0, 1));
  while (seen.size() < kPasteBegins.size()) {
    const auto byte = next_byte(kSequencePause);
    if (!byte) break;
    seen += *byte;
    if (!kPasteBegins.starts_with(seen)) break;
  }
  if (seen == kPasteBegins) return true;
  unread.insert(unread.begin(), seen.begin() + 1, seen.end());
  return false;
}

/// What is pasted is one text, whatever line breaks and tabs stand in it.
void LineEditor::State::take_paste() {
  std::string text;
  // a terminal that never says the end is not waited for
  for (int silent = 0; !text.ends_with(kPasteEnds) && silent < 5 && !stopped;) {
    const auto byte = next_byte(200);
    silent = byte ? 0 : silent + 1;
    if (byte) text += *byte;
  }
  if (text.ends_with(kPasteEnds)) text.erase(text.size() - kPasteEnds.size());
  std::string shown;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i] == '\r' ? '\n' : text[i];  // as terminals send line breaks
    if (text[i] == '\n' && i > 0 && text[i - 1] == '\r') continue;
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 || c == '\n') shown += c;
    if (c == '\t') shown += "    ";
  }
  while (shown.ends_with('\n')) shown.pop_back();
  ::el_insertstr(editor.get(), shown.c_str());
  ::el_set(editor.get(), EL_REFRESH);
}

/// As libedit asks: 1 and a character, 0 at the end, -1 if there is none.
int LineEditor::State::next_character(wchar_t* out) {
  std::mbstate_t partial{};
  for (;;) {
    if (obey_signals()) return -1;
    const bool ahead = !unread.empty();
    const auto byte = next_byte(-1);
    if (stopped) return 0;
    if (!byte) continue;
    if (*byte == kPasteBegins[0] && !ahead && begins_paste()) {
      take_paste();
      continue;
    }
    wchar_t character = 0;
    const char text = *byte;
    size_t n = std::mbrtowc(&character, &text, 1, &partial);
    if (n == static_cast<size_t>(-1)) {  // what came before it was cut off
      partial = {};
      n = std::mbrtowc(&character, &text, 1, &partial);
    }
    if (n == static_cast<size_t>(-2)) continue;  // its other bytes follow
    if (n == static_cast<size_t>(-1)) {          // no UTF-8: passed over
      partial = {};
      continue;
    }
    *out = character;
    return 1;
  }
}

/// Puts what all completions have in common in place of the word; several are listed where that is
/// nothing new.
unsigned char LineEditor::State::complete_word() {
  const LineInfo* line = ::el_line(editor.get());
  const std::string before(line->buffer, line->cursor);
  const Completions found = complete(before);
  if (found.texts.empty()) return CC_REFRESH_BEEP;
  const std::string common = common_beginning(found.texts);
  const std::string typed = before.substr(found.begin);
  if (common != typed && !(found.texts.size() > 1 && common.size() < typed.size())) {
    ::el_deletestr(editor.get(), characters_of(typed));
    ::el_insertstr(editor.get(), common.c_str());
    return CC_REFRESH;
  }
  if (found.texts.size() == 1) return CC_REFRESH_BEEP;
  const size_t slash = common.rfind('/');  // of a path its last part; of commands all
  std::fputs(list_of(found.texts, slash == 0 ? 0 : slash + 1).c_str(), stdout);
  std::fflush(stdout);
  return CC_REDISPLAY;
}

LineEditor::LineEditor(std::function<Completions(std::string_view before)> complete)
    : state_(std::make_unique<State>()) {
  const Utf8 utf8;
  state_->complete = std::move(complete);
  state_->history.reset(::history_init());
  state_->editor.reset(::el_init("lmms", stdin, stdout, stderr));
  EditLine* editor = state_->editor.get();
  if (editor == nullptr || state_->history == nullptr)
    throw Error("the terminal", "libedit cannot edit lines here", "pipe the lines in instead",
                Exit::failed);
  HistEvent event{};
  ::history(state_->history.get(), &event, H_SETSIZE, kMostLines);
  ::history(state_->history.get(), &event, H_SETUNIQUE, 1);
  ::el_set(editor, EL_CLIENTDATA, state_.get());
  ::el_set(editor, EL_PROMPT, State::prompt_of);
  ::el_set(editor, EL_EDITOR, "emacs");
  ::el_set(editor, EL_SIGNAL, 0);  // its own handlers signal the whole process group
  ::el_set(editor, EL_HIST, ::history, state_->history.get());
  ::el_set(
      editor, EL_GETCFN,
      +[](EditLine* e, wchar_t* out) { return State::of(e).next_character(out); });
  ::el_set(
      editor, EL_ADDFN, "lmms-complete", "complete a command or a path",
      +[](EditLine* e, int) { return State::of(e).complete_word(); });
  constexpr std::array<std::array<const char*, 2>, 9> kKeys{{{"^I", "lmms-complete"},
                                                             {"^R", "em-inc-search-prev"},
                                                             {"^W", "ed-delete-prev-word"},
                                                             {"\\e[1;5C", "em-next-word"},
                                                             {"\\e[1;5D", "ed-prev-word"},
                                                             {"\\e[3~", "ed-delete-next-char"},
                                                             {"\\e[H", "ed-move-to-beg"},
                                                             {"\\e[F", "ed-move-to-end"},
                                                             {"\\e[1~", "ed-move-to-beg"}}};
  for (const auto& [key, command] : kKeys) ::el_set(editor, EL_BIND, key, command, nullptr);
  ::el_set(editor, EL_BIND, "\\e[4~", "ed-move-to-end", nullptr);
  ::el_source(editor, nullptr);  // the user's own ~/.editrc
}

LineEditor::~LineEditor() = default;

LineEditor::Line LineEditor::read(const std::string& prompt) {
  State& state = *state_;
  state.prompt = prompt;
  state.stopped.reset();
  Line line;
  {
    const Utf8 utf8;
    const NoticedSignals signals;
    mark_pastes(true);
    ::el_set(state.editor.get(), EL_PREP_TERM, 1);  // before the prompt invites to type
    int count = 0;
    const char* text = ::el_gets(state.editor.get(), &count);
    if (text == nullptr || count <= 0) {
      line.kind = state.stopped.value_or(Line::Kind::end);
    } else {
      line.text.assign(text, static_cast<size_t>(count));
      if (line.text.ends_with('\n')) line.text.pop_back();
    }
    mark_pastes(false);
  }
  if (state.ended_by != 0) std::raise(std::exchange(state.ended_by, 0));
  return line;
}

void LineEditor::remember(const std::string& line) {
  const Utf8 utf8;
  HistEvent event{};
  ::history(state_->history.get(), &event, H_ENTER, line.c_str());
}

}  // namespace lmms::app
