#include "live/target.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace heapscan::testing {

namespace {

constexpr int kPatienceMs = 10000;

struct Pipe {
  Fd read_end;
  Fd write_end;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  return {Fd(ends[0]), Fd(ends[1])};
}

}  // namespace

Target::Target(const std::string& path, std::vector<std::string> arguments) {
  Pipe input = make_pipe();
  Pipe output = make_pipe();
  arguments.insert(arguments.begin(), path);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input.read_end.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output.write_end.get(), STDOUT_FILENO);
  const int error = ::posix_spawn(&pid_, path.c_str(), &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start " + path);
  input_ = std::move(input.write_end);
  output_ = std::move(output.read_end);
  output.write_end = Fd();
  while (const auto line = read_line()) {
    std::istringstream words(*line);
    std::string name;
    words >> name;
    auto& rest = facts_[name];
    for (std::string word; words >> word;) rest.push_back(word);
    if (name != "ready") continue;
    ready_ = true;
    break;
  }
}

const std::vector<std::string>& Target::fact(const std::string& name) const {
  return facts_.at(name);
}

AddrRange Target::range(const std::string& name) const {
  const auto& words = fact(name);
  return AddrRange::sized(Addr(std::stoull(words.at(0), nullptr, 16)), std::stoull(words.at(1)));
}

void Target::send(const std::string& line) {
  const std::string whole = line + "\n";
  if (::write(input_.get(), whole.data(), whole.size()) != static_cast<ssize_t>(whole.size())) {
    throw std::runtime_error("the program does not listen");
  }
}

std::optional<std::string> Target::read_line() {
  for (;;) {
    const size_t end = unread_.find('\n');
    if (end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    pollfd poll{output_.get(), POLLIN, 0};
    if (::poll(&poll, 1, kPatienceMs) <= 0) return std::nullopt;
    char buffer[4096];
    const ssize_t got = ::read(output_.get(), buffer, sizeof buffer);
    if (got <= 0) return std::nullopt;
    unread_.append(buffer, static_cast<size_t>(got));
  }
}

std::optional<std::string> Target::ask(const std::string& line) {
  send(line);
  return read_line();
}

int Target::wait() {
  int status = 0;
  if (pid_ > 0) ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

void Target::end() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  wait();
}

std::string status_field(int pid, const std::string& name) {
  std::istringstream status(read_text_file("/proc/" + std::to_string(pid) + "/status"));
  std::string line;
  while (std::getline(status, line)) {
    if (!line.starts_with(name + ":")) continue;
    const size_t begin = line.find_first_not_of(" \t", name.size() + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return {};
}

uint64_t resident_bytes(int pid) {
  return std::strtoull(status_field(pid, "VmRSS").c_str(), nullptr, 10) * 1024;
}

bool wait_until(const std::function<bool()>& is_so) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  while (std::chrono::steady_clock::now() < deadline) {
    if (is_so()) return true;
    std::this_thread::yield();
  }
  return false;
}

bool wait_for_state(int pid, char state) {
  return wait_until([&] { return status_field(pid, "State").starts_with(state); });
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "heapscan-live-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryFolder::copy(const std::string& file, const std::string& name) const {
  const std::string to = path_ + "/" + name;
  std::filesystem::copy_file(file, to, std::filesystem::copy_options::overwrite_existing);
  return to;
}

}  // namespace heapscan::testing
