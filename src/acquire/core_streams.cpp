// coredumpctl knows where cores are kept, in the journal or in files, and who may read them: asking it
// is safer than reading its directory. It writes to a pipe, and what it has to say to a file, so that
// neither can make the other wait. No shell is involved, so nothing in `match` can be one's words.
#include "heapscan/acquire/core_streams.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <utility>
#include <vector>

#include "acquire/core_parts.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/elf/compression.h"

namespace heapscan {

namespace {

constexpr const char* kProgram = "coredumpctl";

// A process whose standard output we read; waited for when this goes.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) (void)end();
  }
  // Its status, as waitpid says it.
  int end() {
    int status = 0;
    const pid_t pid = std::exchange(pid_, 0);
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

 private:
  pid_t pid_;
};

struct Pipe {
  Fd reading;
  Fd writing;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw Error(ErrorKind::Acquire,
                fmt::format("cannot make a pipe to {}: {}", kProgram, describe_errno(errno)));
  }
  return {Fd(ends[0]), Fd(ends[1])};
}

// Both are undone when they go.
struct SpawnParts {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  SpawnParts() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  SpawnParts(const SpawnParts&) = delete;
  SpawnParts& operator=(const SpawnParts&) = delete;
  ~SpawnParts() {
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
  }
};

pid_t spawn(const std::vector<std::string>& words, const Fd& output, const Fd& complaints) {
  SpawnParts parts;
  posix_spawn_file_actions_addopen(&parts.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&parts.actions, output.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&parts.actions, complaints.get(), STDERR_FILENO);
  sigset_t ours;  // what heapscan ignores and another program should not
  sigemptyset(&ours);
  sigaddset(&ours, SIGPIPE);
  sigaddset(&ours, SIGXFSZ);
  posix_spawnattr_setsigdefault(&parts.attributes, &ours);
  posix_spawnattr_setflags(&parts.attributes, POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = 0;
  const int error =
      ::posix_spawnp(&pid, kProgram, &parts.actions, &parts.attributes, arguments.data(), environ);
  if (error == 0) return pid;
  throw Error(ErrorKind::Acquire,
              fmt::format("cannot run {}: {}; it comes with systemd (Debian: the package "
                          "systemd-coredump); name the core dump's file instead",
                          kProgram, describe_errno(error)));
}

// The last line that says anything, shortened: what a program complained of.
std::string last_line(const Fd& file) {
  constexpr size_t kMost = 4096;
  std::string text(kMost, '\0');
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  while (!text.empty() && (text.back() == '\n' || text.back() == '.')) text.pop_back();
  const size_t begin = text.rfind('\n');
  return escaped(text.substr(begin == std::string::npos ? 0 : begin + 1).substr(0, 200));
}

[[noreturn]] void no_core(const std::string& match, const std::string& why) {
  throw Error(ErrorKind::Acquire,
              fmt::format("{} has no core dump{}: {}; `coredumpctl list` shows what it has",
                          kProgram, match.empty() ? "" : fmt::format(" of \"{}\"", escaped(match)),
                          why.empty() ? "it did not say why" : why));
}

double now() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

Capture load_core_stream(const Fd& stream, const std::string& name, const CoreOptions& options) {
  return load_unpacked_core(unpack_stream(stream, name), name, now(), options);
}

Capture load_last_core(const std::string& match, const CoreOptions& options) {
  if (match.starts_with('-')) {
    throw Error(ErrorKind::Usage, fmt::format("--last takes a process id, a name or a path, not "
                                              "\"{}\"",
                                              escaped(match)));
  }
  std::vector<std::string> words = {kProgram, "--quiet", "--no-pager", "dump"};
  if (!match.empty()) words.push_back(match);
  const Fd complaints(::memfd_create("coredumpctl-says", MFD_CLOEXEC));
  Pipe pipe = make_pipe();
  Child child(spawn(words, pipe.writing, complaints));
  pipe.writing = Fd();
  const std::string name = match.empty() ? "the last core dump" : "the last core dump of " + match;
  UnpackedFile unpacked;
  {
    // However reading ends, coredumpctl must not wait for somebody to read on.
    const Fd reading = std::move(pipe.reading);
    unpacked = unpack_stream(reading, name);
  }
  const int status = child.end();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || unpacked.size == 0)
    no_core(match, last_line(complaints));
  return load_unpacked_core(std::move(unpacked), name, now(), options);
}

}  // namespace heapscan
