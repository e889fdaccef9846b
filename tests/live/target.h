// A child process for a live test: started, spoken to over pipes, ended by its destructor.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/fd.h"
#include "heapscan/image/image.h"

namespace heapscan::testing {

class Target {
 public:
  // Runs `path` and reads its lines up to one that begins with `ready`, or to its end.
  explicit Target(const std::string& path, std::vector<std::string> arguments = {});
  ~Target() { end(); }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] bool is_ready() const { return ready_; }
  // The words that followed `name` on its line, `ready` included.
  [[nodiscard]] const std::vector<std::string>& fact(const std::string& name) const;
  [[nodiscard]] AddrRange range(const std::string& name) const;

  void send(const std::string& line);
  // The next line it prints; nothing when it ended or says nothing for ten seconds.
  [[nodiscard]] std::optional<std::string> read_line();
  [[nodiscard]] std::optional<std::string> ask(const std::string& line);
  // Closes its input; programs end then.
  void close_input() { input_ = Fd(); }
  // Waits for its end and returns the status of waitpid.
  int wait();
  void end();

 private:
  int pid_ = -1;
  bool ready_ = false;
  Fd input_;
  Fd output_;
  std::string unread_;
  std::map<std::string, std::vector<std::string>> facts_;
};

// A field of /proc/PID/status, as text ("S (sleeping)").
[[nodiscard]] std::string status_field(int pid, const std::string& name);
[[nodiscard]] uint64_t resident_bytes(int pid);
// Waits, at most ten seconds, until it is so.
[[nodiscard]] bool wait_until(const std::function<bool()>& is_so);
// ... until /proc shows the state.
[[nodiscard]] bool wait_for_state(int pid, char state);

// A folder that is removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  // Copies `file` into it, executable, and returns the new path.
  [[nodiscard]] std::string copy(const std::string& file, const std::string& name) const;

 private:
  std::string path_;
};

}  // namespace heapscan::testing
