#include "cli/line_editor.h"

#include <editline/readline.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <cwchar>
#include <filesystem>
#include <iostream>
#include <memory>

namespace heapscan {

namespace {

constexpr size_t kLongestTyped = 64 << 10;  // bytes; what is longer is cut
constexpr int kLinesKept = 1000;

Complete the_complete;
std::vector<std::string> the_candidates;
volatile std::sig_atomic_t was_interrupted = 0;

sigset_t signals_while_waiting;

void note_interrupt(int /*signal*/) { was_interrupted = 1; }

// The next character typed; -1 at the end of the input and for Ctrl-C. The signal is let in only while
// nothing is typed, so that none comes unnoticed between a look and the wait.
int next_character(FILE* /*in*/) {
  std::mbstate_t state{};
  for (;;) {
    pollfd typed{STDIN_FILENO, POLLIN, 0};
    if (was_interrupted != 0) return -1;
    if (ppoll(&typed, 1, nullptr, &signals_while_waiting) < 0) {
      if (errno == EINTR) continue;
      return -1;
    }
    char byte = 0;
    if (::read(STDIN_FILENO, &byte, 1) != 1) return -1;
    wchar_t character = 0;
    constexpr auto kGoesOn = static_cast<size_t>(-2);
    const size_t taken = std::mbrtowc(&character, &byte, 1, &state);
    if (taken == kGoesOn) continue;
    return taken > 1 ? static_cast<unsigned char>(byte) : static_cast<int>(character);
  }
}

// Before the prompt is shown, for libedit does it after that, and a terminal that is not prepared yet
// takes a Ctrl-D typed at the prompt for itself. And the kernel is to drop nothing when Ctrl-C is
// typed: it sends the signal first, and the prompt that answers would be among what it drops.
int prepare_terminal() {
  rl_parse_and_bind("setty -d +noflsh");
  rl_prep_terminal(1);
  return 0;
}

// libedit asks for one candidate after the other, and frees each.
char* next_candidate(const char* /*text*/, int number) {
  const auto index = static_cast<size_t>(number);
  return index < the_candidates.size() ? strdup(the_candidates[index].c_str()) : nullptr;
}

char** complete_word(const char* text, int begin, int /*end*/) {
  rl_attempted_completion_over = 1;  // names of files are no candidates
  const std::string line(rl_line_buffer);
  the_candidates = the_complete(line.substr(0, static_cast<size_t>(begin)), text);
  return the_candidates.empty() ? nullptr : rl_completion_matches(text, next_candidate);
}

// Empty when there is no place for it.
std::string history_file() {
  const char* const state = std::getenv("XDG_STATE_HOME");
  const char* const home = std::getenv("HOME");
  std::filesystem::path folder;
  if (state != nullptr && *state == '/') {
    folder = state;
  } else if (home != nullptr && *home == '/') {
    folder = std::filesystem::path(home) / ".local" / "state";
  } else {
    return "";
  }
  folder /= "heapscan";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  return error ? "" : (folder / "history").string();
}

}  // namespace

LineEditor::LineEditor(std::string prompt, Complete complete)
    : prompt_(std::move(prompt)),
      is_interactive_(isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0) {
  if (!is_interactive_) return;
  the_complete = std::move(complete);
  std::setlocale(LC_CTYPE, "");  // for letters beyond ASCII, as they are typed
  rl_readline_name = "heapscan";
  rl_pre_input_hook = prepare_terminal;
  rl_getc_function = next_character;
  rl_initialize();
  rl_attempted_completion_function = complete_word;
  rl_basic_word_break_characters = " \t\n";
  stifle_history(kLinesKept);
  history_ = history_file();
  if (!history_.empty()) read_history(history_.c_str());
}

LineEditor::~LineEditor() {
  if (history_.empty()) return;
  const mode_t old = umask(077);
  write_history(history_.c_str());
  umask(old);
}

std::optional<std::string> LineEditor::read() {
  std::string line;
  if (is_interactive_) return edit();
  if (!std::getline(std::cin, line)) return std::nullopt;
  line.resize(std::min(line.size(), kLongestTyped));
  return line;
}

std::optional<std::string> LineEditor::edit() {
  struct sigaction noted {};
  struct sigaction old {};
  noted.sa_handler = note_interrupt;
  was_interrupted = 0;
  sigset_t interrupt;
  sigset_t before;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  sigaction(SIGINT, &noted, &old);
  sigprocmask(SIG_BLOCK, &interrupt, &before);
  signals_while_waiting = before;
  const std::unique_ptr<char, decltype(&std::free)> typed(readline(prompt_.c_str()), &std::free);
  sigaction(SIGINT, &old, nullptr);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (was_interrupted != 0) {
    tcflush(STDIN_FILENO, TCIFLUSH);  // the rest of the line that was given up
    std::cout << '\n';
    return "";
  }
  if (!typed) return std::nullopt;
  std::string line(typed.get(), strnlen(typed.get(), kLongestTyped));
  if (line.find_first_not_of(" \t") != std::string::npos) add_history(line.c_str());
  return line;
}

}  // namespace heapscan
