// What `heapscan triage` says of a machine: where all of its memory is, who has most of it, who
// grows, what to do next. As JSON, schema "heapscan.triage/1" (docs/triage.schema.json).
//
// Every string is escaped. Growth is in bytes between two readings, `seconds` apart.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "heapscan/machine/account.h"
#include "heapscan/machine/machine.h"

namespace heapscan {

struct TriageOptions {
  size_t top = 5;       // rows of each table
  int own_pid = 0;      // nobody is sent to look at us
  std::string command;  // leads here again
};

// A part of what a line of the account has: a slab cache, a caller of vmalloc.
struct TriagePart {
  std::string name;
  uint64_t bytes = 0;
  std::optional<int64_t> growth;
};

struct TriageRow {
  MachineUse use = MachineUse::Free;
  std::string name;
  int64_t bytes = 0;
  std::optional<int64_t> growth;
  std::vector<TriagePart> parts;  // the largest; they need not add up to the line
};

struct TriageProcess {
  ProcessMemory memory;  // the name is escaped
  std::optional<int64_t> growth;
  bool is_new = false;  // began between the readings
};

struct TriageProcesses {
  uint64_t count = 0;
  uint64_t with_shares = 0;  // of them, so many by their shares of shared pages
  uint64_t anonymous = 0;    // of all of them together
  uint64_t unseen = 0;       // anonymous memory of processes that cannot be seen from here
  std::vector<TriageProcess> top;
  std::optional<ProcessMemory> largest;  // by what it holds, whoever grew; not ours
  uint64_t begun = 0;
  uint64_t ended = 0;
  std::vector<ProcessMemory> largest_ended;
};

struct TriageShared {
  uint64_t bytes = 0;  // all of it, as the account says
  std::vector<TmpfsMount> mounts;
  uint64_t memfds = 0;
  uint64_t memfd_bytes = 0;
  SysvSegments sysv;
};

struct TriageAdvice {
  std::string command;  // empty: nothing to run
  std::string reason;
};

struct TriageReport {
  std::string host;
  std::string kernel;
  double captured_at = 0;
  std::optional<double> seconds;  // between two readings
  std::string summary;            // one sentence, without its full stop
  MachineAccount account;
  std::vector<TriageRow> rows;  // of the account, in its order; those of 0 bytes as well
  std::vector<std::string> left_over_hints;  // where it is much: what it may be
  std::vector<SocketMemory> sockets;
  std::vector<TriagePart> grown_slab;
  TriageProcesses processes;
  TriageShared shared;
  std::vector<NamelessFile> nameless;  // large ones, of any file system
  uint64_t nameless_left_out = 0;
  std::vector<CgroupUse> cgroups;
  uint64_t cgroups_left_out = 0;
  std::optional<KmemleakReport> kmemleak;
  std::string kmemleak_missing;       // why there is none, and how it would be had
  std::vector<std::string> not_read;  // for want of rights
  bool as_root = false;
  std::vector<std::string> left_out;  // for want of time
  std::vector<TriageAdvice> next;
};

// The earlier reading, if there were two.
struct EarlierReading {
  const MachineFacts* facts = nullptr;
  double seconds = 0;  // before the other one
};

[[nodiscard]] TriageReport describe_triage(const MachineFacts& facts, const EarlierReading& before,
                                           const TriageOptions& options);

void render_text(const TriageReport& report, bool color, std::ostream& out);
void render_json(const TriageReport& report, std::ostream& out);

}  // namespace heapscan
