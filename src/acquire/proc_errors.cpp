#include "acquire/proc_errors.h"

#include <elf.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>

#include "acquire/proc_files.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/base/error.h"
#include "heapscan/base/fd.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr uint64_t kCapSysPtrace = uint64_t{1} << 19;

std::string user_name(uint32_t uid) {
  const passwd* const entry = ::getpwuid(uid);
  return entry == nullptr ? std::string() : escaped(entry->pw_name);
}

std::string person(const std::string& name, uint32_t uid) {
  return name.empty() ? "uid " + std::to_string(uid) : name + " (uid " + std::to_string(uid) + ")";
}

std::string process(int pid, const std::string& name) {
  return "process " + std::to_string(pid) + (name.empty() ? "" : " (" + escaped(name) + ")");
}

int yama_scope() {
  const std::string text = read_text_file("/proc/sys/kernel/yama/ptrace_scope", 64);
  int scope = -1;
  std::from_chars(text.data(), text.data() + text.size(), scope);
  return scope;
}

// The initial user namespace maps every id to itself.
bool in_user_namespace() {
  const std::string map = read_text_file("/proc/self/uid_map", 4096);
  uint64_t first = 1;
  const size_t begin = map.find_first_not_of(' ');
  if (begin == std::string::npos) return false;
  std::from_chars(map.data() + begin, map.data() + map.size(), first);
  return first != 0 || map.find("4294967295") == std::string::npos;
}

AccessFacts gather_access_facts(int pid, int error) {
  AccessFacts facts;
  facts.pid = pid;
  facts.error = error;
  facts.our_uid = ::getuid();
  facts.our_user = user_name(facts.our_uid);
  facts.yama_scope = yama_scope();
  facts.we_are_in_user_namespace = in_user_namespace();
  const auto ours = read_status(::getpid());
  const auto theirs = read_status(pid);
  if (!ours || !theirs) return facts;
  facts.we_may_trace_anything = (ours->effective_capabilities & kCapSysPtrace) != 0;
  facts.name = theirs->name;
  facts.their_uid = theirs->uids[1];
  facts.their_user = user_name(facts.their_uid);
  for (size_t i = 0; i < 3; ++i) facts.uids_differ |= theirs->uids[i] != facts.our_uid;
  facts.has_capabilities_we_lack =
      (theirs->permitted_capabilities & ~ours->permitted_capabilities) != 0;
  struct stat owner {};
  // The files of a process that is not dumpable belong to root.
  if (::stat((process_folder(pid) + "/status").c_str(), &owner) == 0) {
    facts.dumpable = owner.st_uid == facts.their_uid;
  }
  return facts;
}

std::string why_despite_capability(const AccessFacts& facts) {
  if (facts.yama_scope == 3) {
    return "kernel.yama.ptrace_scope is 3, which forbids tracing to everybody until the next boot";
  }
  if (facts.we_are_in_user_namespace) {
    return "heapscan runs in a user namespace (a container) that does not own the process; run "
           "heapscan outside it, as root on the host";
  }
  return "a security module (SELinux, AppArmor) or a seccomp filter forbids it; check the kernel "
         "log, or run heapscan outside this confinement";
}

std::string why_without_capability(const AccessFacts& facts) {
  if (facts.uids_differ) {
    return "it belongs to " + person(facts.their_user, facts.their_uid) + " and heapscan runs as " +
           person(facts.our_user, facts.our_uid) +
           " without CAP_SYS_PTRACE; run heapscan as that user or as root (sudo)";
  }
  if (!facts.dumpable) {
    return "it is not dumpable: it changed its user (setuid), called prctl(PR_SET_DUMPABLE, 0), or "
           "its executable is not readable; run heapscan as root (sudo)";
  }
  if (facts.has_capabilities_we_lack) {
    return "it has capabilities that heapscan lacks; run heapscan as root (sudo)";
  }
  if (facts.yama_scope == 1) {
    return "kernel.yama.ptrace_scope is 1, which allows only a parent to trace its children; run "
           "heapscan as root (sudo), or run `sudo sysctl kernel.yama.ptrace_scope=0`";
  }
  if (facts.yama_scope == 2) {
    return "kernel.yama.ptrace_scope is 2, which allows tracing only with CAP_SYS_PTRACE; run "
           "heapscan as root (sudo)";
  }
  if (facts.yama_scope == 3) return why_despite_capability(facts);
  if (facts.we_are_in_user_namespace) {
    return "heapscan runs in a different user namespace (a container) than the process; run "
           "heapscan in the namespace of the process, or as root on the host";
  }
  return "it may run in another user namespace, or a security module or seccomp filter forbids it; "
         "run heapscan as root (sudo)";
}

void check_architecture(int pid, const std::string& name) {
  const Fd exe = Fd::open_read(process_folder(pid) + "/exe");
  unsigned char header[20] = {};
  if (!exe.valid() || ::pread(exe.get(), header, sizeof header, 0) != sizeof header) return;
  const int machine = header[18] | header[19] << 8;
  if (header[EI_CLASS] == ELFCLASS64 && machine == EM_X86_64) return;
  if (header[EI_CLASS] == ELFCLASS32) {
    throw Error(ErrorKind::Unsupported,
                "cannot analyse " + process(pid, name) +
                    ": it is a 32-bit program, and heapscan supports only x86-64");
  }
  throw Error(ErrorKind::Unsupported,
              "cannot analyse " + process(pid, name) +
                  ": it is not an x86-64 program, and heapscan supports only x86-64");
}

void check_not_traced(const ProcessStatus& status, const std::string& who) {
  if (status.tracer == 0) return;
  const auto tracer = read_status(status.tracer);
  throw Error(ErrorKind::Acquire,
              "cannot attach to " + who + ": it is already traced by " +
                  process(status.tracer, tracer ? tracer->name : "") +
                  ", and a process can have only one tracer; end that one first");
}

[[noreturn]] void throw_missing(int pid) {
  if (pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM)) {
    throw Error(ErrorKind::Acquire,
                "cannot attach to process " + std::to_string(pid) +
                    ": it is hidden, /proc is mounted with hidepid; run heapscan as root (sudo)");
  }
  throw Error(ErrorKind::Acquire, "there is no process " + std::to_string(pid) +
                                      "; `ps -e` lists processes, `heapscan attach NAME` finds "
                                      "them by name");
}

}  // namespace

void require_proc() {
  std::array<char, 16> target{};
  const ssize_t length = ::readlink("/proc/self", target.data(), target.size());
  int pid = 0;
  if (length > 0) std::from_chars(target.data(), target.data() + length, pid);
  if (pid == ::getpid()) return;
  throw Error(ErrorKind::Acquire,
              std::string("cannot read processes from /proc: ") +
                  (pid == 0 ? "it is not mounted here" : "it is that of another pid namespace") +
                  "; run `mount -t proc proc /proc` as root");
}

bool hides_processes() {
  constexpr int kFirst = 1;  // there always is one
  return !read_status(kFirst) && (::kill(kFirst, 0) == 0 || errno == EPERM);
}

std::string explain_refusal(const AccessFacts& facts) {
  return "cannot attach to " + process(facts.pid, facts.name) + ": " + describe_errno(facts.error) +
         "; " +
         (facts.we_may_trace_anything ? why_despite_capability(facts)
                                      : why_without_capability(facts));
}

void check_capturable(int pid) {
  require_proc();
  if (pid == ::getpid()) throw Error(ErrorKind::Acquire, "cannot attach to heapscan itself");
  const auto status = read_status(pid);
  if (!status) throw_missing(pid);
  const std::string who = process(pid, status->name);
  const auto stat = read_task_stat(pid, pid);
  if (stat && stat->is_kernel_thread()) {
    throw Error(ErrorKind::Acquire,
                "cannot attach to " + who + ": it is a kernel thread and has no memory of its own");
  }
  if (stat && stat->is_dead() && list_threads(pid).size() <= 1) {
    throw Error(ErrorKind::Acquire, "cannot attach to " + who +
                                        ": it is a zombie, it has exited and its memory is gone; "
                                        "if it left a core dump, run `heapscan core FILE`");
  }
  check_not_traced(*status, who);
  check_architecture(pid, status->name);
}

void throw_gone(int pid) {
  throw Error(ErrorKind::Acquire,
              "process " + std::to_string(pid) + " exited before its memory could be copied");
}

void throw_refused(int pid, int tid, int error) {
  const auto status = read_status(tid);
  if (!status) throw_gone(pid);
  check_not_traced(*status, process(pid, status->name));
  throw Error(ErrorKind::Acquire, explain_refusal(gather_access_facts(pid, error)));
}

void throw_unstoppable(int pid, int tid, const std::string& thread_name) {
  const auto stat = read_task_stat(pid, tid);
  const std::string place =
      read_text_file(process_folder(pid) + "/task/" + std::to_string(tid) + "/wchan", 256);
  std::string message = "cannot stop process " + std::to_string(pid) + " in time: its thread " +
                        std::to_string(tid) + " (" + escaped(thread_name) + ") did not stop";
  if (stat && stat->state == 'D') {
    message += " because it is waiting inside the kernel";
    if (!place.empty() && place != "0") message += " in " + escaped(place);
  }
  throw Error(
      ErrorKind::Acquire,
      message +
          "; the process runs on unchanged. Try again later: a vfork, a hung disk or a hung "
          "network file system keeps a thread there");
}

}  // namespace heapscan
