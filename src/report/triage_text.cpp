#include <fmt/format.h>

#include <ostream>

#include "heapscan/base/text.h"
#include "report/report_parts.h"
#include "report/text_parts.h"
#include "report/triage_parts.h"

namespace heapscan {

namespace {

constexpr size_t kRoomForAdvice = 90;  // characters of a command and the reason for it, in one line

class TriageText {
 public:
  TriageText(const TriageReport& report, bool color, std::ostream& out)
      : report_(report), style_(color), out_(out) {}

  void write() {
    out_ << style_.bold("heapscan: " + report_.summary) << '\n';
    write_account();
    write_grown_slab();
    write_processes();
    write_shared();
    write_nameless();
    write_limits();
    write_kmemleak();
    write_gaps();
    write_next();
  }

 private:
  void heading(const char* name, const std::string& rest) {
    out_ << fmt::format("{:<11} {}\n", name, rest);
  }

  [[nodiscard]] std::string growth(std::optional<int64_t> bytes) const {
    if (!report_.seconds || bytes.value_or(0) == 0) return "";
    return spelled_growth(*bytes, *report_.seconds);
  }

  // A column of growth, where there were two readings.
  [[nodiscard]] std::string column(std::optional<int64_t> bytes) const {
    return report_.seconds ? fmt::format(" {:>14}", growth(bytes)) : "";
  }

  void write_account() {
    std::string rest = human_bytes(report_.account.total);
    if (report_.account.available)
      rest += fmt::format(", {} of it available", human_bytes(*report_.account.available));
    if (report_.seconds) rest += fmt::format("; growth in {}", duration_text(*report_.seconds));
    heading("memory", rest);
    for (const TriageRow& row : report_.rows) {
      if (row.bytes == 0 && row.growth.value_or(0) == 0 && row.use != MachineUse::LeftOver)
        continue;
      write_row(row);
    }
    for (const std::string& hint : report_.left_over_hints)
      out_ << fmt::format("{:>13} {}\n", "", hint);
  }

  void write_row(const TriageRow& row) {
    const std::string bytes =
        row.bytes < 0 ? signed_bytes(row.bytes) : human_bytes(static_cast<uint64_t>(row.bytes));
    const bool is_trouble = row.use == MachineUse::LeftOver && report_.account.leaves_much();
    const std::string name = is_trouble ? style_.red(row.name) : row.name;
    out_ << fmt::format(
        "  {:>11} {:>7}{}  {}{}\n", bytes,
        spelled_share(static_cast<double>(row.bytes), static_cast<double>(report_.account.total)),
        column(row.growth), name, parts_text(row));
  }

  [[nodiscard]] std::string parts_text(const TriageRow& row) const {
    std::string text;
    for (const TriagePart& part : row.parts)
      text +=
          fmt::format("{}{} {}", text.empty() ? ": " : ", ", part.name, human_bytes(part.bytes));
    if (row.use == MachineUse::LeftOver && !report_.sockets.empty()) text += sockets_text();
    return text;
  }

  // Charged to sockets, partly in slab and partly in nothing that is counted: so it has no line.
  [[nodiscard]] std::string sockets_text() const {
    uint64_t bytes = 0;
    std::string names;
    for (const SocketMemory& socket : report_.sockets) {
      bytes += socket.bytes;
      names += (names.empty() ? "" : ", ") + socket.protocol;
    }
    constexpr uint64_t kWorthALine = uint64_t{1} << 20;
    return bytes < kWorthALine
               ? ""
               : fmt::format(" (sockets have {}, here and in slab: {})", human_bytes(bytes), names);
  }

  void write_grown_slab() {
    if (report_.grown_slab.empty()) return;
    heading("slab grew", "");
    for (const TriagePart& part : report_.grown_slab)
      out_ << fmt::format("  {:>11} {:>7} {:>14}  {}\n", human_bytes(part.bytes), "",
                          growth(part.growth), part.name);
  }

  // ---- processes --------------------------------------------------------------------------------

  void write_processes() {
    const TriageProcesses& all = report_.processes;
    std::string rest =
        fmt::format("{}, {} of anonymous memory", grouped(all.count), human_bytes(all.anonymous));
    rest += all.with_shares == all.count ? " (PSS)"
            : all.with_shares == 0
                ? " (RSS: pages that several share count with each)"
                : fmt::format(" (PSS of {}, RSS of {})", grouped(all.with_shares),
                              grouped(all.count - all.with_shares));
    if (all.begun + all.ended != 0)
      rest += fmt::format("; {} began, {} ended", grouped(all.begun), grouped(all.ended));
    heading("processes", rest);
    if (all.unseen != 0) {
      out_ << fmt::format(
          "{:>13} {} more belongs to none that can be seen here: another PID namespace, or "
          "hidepid\n",
          "", human_bytes(all.unseen));
    }
    write_process_rows();
  }

  void write_process_rows() {
    const TriageProcesses& all = report_.processes;
    constexpr const char* kRow = "  {:>9} {:>11} {:>11} {:>11} {:>11}{}  {}\n";
    if (all.top.empty()) return;
    out_ << style_.dim(fmt::format(fmt::runtime(kRow), "PID", "ANONYMOUS", "SWAP", "SHARED", "RSS",
                                   report_.seconds ? fmt::format(" {:>14}", "GROWTH") : "",
                                   "NAME"));
    for (const TriageProcess& process : all.top) {
      const ProcessMemory& memory = process.memory;
      const std::string grew =
          process.is_new ? fmt::format(" {:>14}", "new") : column(process.growth);
      out_ << fmt::format(fmt::runtime(kRow), memory.pid, human_bytes(memory.anonymous),
                          human_bytes(memory.swapped), human_bytes(memory.shared),
                          human_bytes(memory.resident), grew, memory.name);
    }
    for (const ProcessMemory& memory : all.largest_ended) {
      constexpr uint64_t kWorthTelling = uint64_t{1} << 20;
      if (memory.held() < kWorthTelling) continue;
      out_ << fmt::format(fmt::runtime(kRow), memory.pid, human_bytes(memory.anonymous),
                          human_bytes(memory.swapped), human_bytes(memory.shared),
                          human_bytes(memory.resident), fmt::format(" {:>14}", "ended"),
                          memory.name);
    }
  }

  // ---- files ------------------------------------------------------------------------------------

  void write_shared() {
    const TriageShared& shared = report_.shared;
    std::string rest = human_bytes(shared.bytes);
    if (shared.memfds != 0) {
      rest += fmt::format("; {} of it in {}", human_bytes(shared.memfd_bytes),
                          counted(shared.memfds, "memfd"));
    }
    if (shared.sysv.segments != 0) {
      rest += fmt::format("; {} in {}", human_bytes(shared.sysv.resident),
                          counted(shared.sysv.segments, "SysV segment"));
      if (shared.sysv.unattached != 0) {
        rest +=
            fmt::format(", {} of them used by nobody ({}; see ipcs -m)",
                        grouped(shared.sysv.unattached), human_bytes(shared.sysv.unattached_bytes));
      }
    }
    heading("shared", rest);
    for (const TmpfsMount& mount : shared.mounts) {
      std::string line = fmt::format("  {:>11} ", human_bytes(mount.used.value_or(0)));
      line += mount.limit == 0 ? "            " : fmt::format("of {:>9}", human_bytes(mount.limit));
      line += fmt::format("  {}", mount.point);
      if (!mount.largest_file.empty()) {
        line += fmt::format("; the largest file is {} with {}", mount.largest_file,
                            human_bytes(mount.largest_bytes));
      }
      out_ << line << '\n';
    }
  }

  void write_nameless() {
    if (report_.nameless.empty()) return;
    heading("no name", "open files that were deleted, or never had a name");
    for (const NamelessFile& file : report_.nameless) {
      out_ << fmt::format("  {:>11} {:<12}  {}, open in {} ({}) as {}", human_bytes(file.bytes),
                          file.in_memory ? "in memory" : "on disk", file.path, file.process,
                          file.pid, file.descriptor);
      if (file.holders > 1) out_ << fmt::format(" and in {} more", grouped(file.holders - 1));
      out_ << '\n';
    }
    if (report_.nameless_left_out != 0)
      out_ << fmt::format("{:>13} and {} more\n", "", grouped(report_.nameless_left_out));
  }

  // ---- the rest ---------------------------------------------------------------------------------

  void write_limits() {
    if (report_.cgroups.empty()) return;
    heading("limits", "of cgroups, nearest first");
    for (const CgroupUse& use : report_.cgroups) {
      out_ << fmt::format(
          "  {:>11} {:>7}  of {:>9}  {}", human_bytes(use.used),
          spelled_share(static_cast<double>(use.used), static_cast<double>(use.limit)),
          human_bytes(use.limit), use.path);
      if (use.times_full.value_or(0) != 0)
        out_ << fmt::format(", met {} times", grouped(*use.times_full));
      if (use.kills.value_or(0) != 0)
        out_ << style_.red(fmt::format(", {} killed", grouped(*use.kills)));
      out_ << '\n';
    }
    if (report_.cgroups_left_out != 0)
      out_ << fmt::format("{:>13} and {} more\n", "", grouped(report_.cgroups_left_out));
  }

  void write_kmemleak() {
    if (!report_.kmemleak) return heading("kmemleak", report_.kmemleak_missing);
    const KmemleakReport& found = *report_.kmemleak;
    if (found.objects == 0) return heading("kmemleak", "nothing, at the kernel's last scan");
    heading("kmemleak", fmt::format("{} of the kernel that nothing refers to, {}",
                                    counted(found.objects, "object"), human_bytes(found.bytes)));
    for (const KmemleakObject& object : found.first) {
      out_ << fmt::format("  {:>11}  {} ({})\n", human_bytes(object.bytes),
                          object.allocated.empty() ? "unknown" : object.allocated,
                          object.command.empty() ? "unknown" : object.command);
    }
  }

  [[nodiscard]] static std::string joined_list(const std::vector<std::string>& items) {
    std::string text;
    for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
    return text;
  }

  void write_gaps() {
    if (!report_.not_read.empty()) {
      heading("not read",
              joined_list(report_.not_read) +
                  (report_.as_root
                       ? "; refused to root, too: by a security module, or outside the container"
                       : "; run sudo heapscan triage"));
    }
    if (!report_.left_out.empty())
      heading("left out", joined_list(report_.left_out) + ", to answer within a second");
  }

  void write_next() {
    const char* name = "next";
    for (const TriageAdvice& advice : report_.next) {
      const bool fits = advice.command.size() + advice.reason.size() <= kRoomForAdvice;
      out_ << fmt::format("{:<11} {}{}# {}\n", name, style_.bold(advice.command),
                          fits ? "  " : "\n              ", advice.reason);
      name = "";
    }
  }

  const TriageReport& report_;
  const Style style_;
  std::ostream& out_;
};

}  // namespace

void render_text(const TriageReport& report, bool color, std::ostream& out) {
  TriageText(report, color, out).write();
}

}  // namespace heapscan
