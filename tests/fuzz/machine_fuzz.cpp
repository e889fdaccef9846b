// Any bytes as texts of /proc and /sys about a whole machine: what is said of them adds up, and can be
// shown on a terminal.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <sstream>
#include <string>
#include <string_view>

#include "heapscan/base/error.h"
#include "heapscan/machine/account.h"
#include "heapscan/report/triage.h"

namespace {

using namespace heapscan;

constexpr uint64_t kPageOfMachine = 4096;

MachineFacts facts_from(std::string_view text) {
  MachineFacts facts;
  facts.host = facts.kernel = std::string(text.substr(0, 20));
  facts.memory = parse_meminfo(text);
  facts.free_list_pages = parse_free_lists(text);
  facts.slab = parse_slabinfo(text, kPageOfMachine);
  facts.vmalloc = parse_vmallocinfo(text, kPageOfMachine);
  facts.sockets = parse_socket_memory(text, text, kPageOfMachine);
  facts.sysv = parse_sysv_segments(text);
  facts.kmemleak = parse_kmemleak(text);
  if (auto device = parse_zram("zram0", text)) facts.zram.push_back(*device);
  if (auto process = parse_process_memory(text, text, kPageOfMachine)) {
    process->proportional = parse_rollup(text);
    facts.processes.push_back(*process);
  }
  facts.cgroups.push_back({2, std::string(text), facts.memory.of("MemTotal"), text.size(), 1, 1});
  return facts;
}

void check_account(const MachineFacts& facts) {
  const MachineAccount account = account_for(facts);
  HS_CHECK(std::accumulate(account.bytes.begin(), account.bytes.end(), int64_t{0}) ==
           static_cast<int64_t>(facts.memory.of("MemTotal")));
}

bool is_shown(unsigned char c) { return c == '\n' || (c >= 0x20 && c < 0x7f); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const MachineFacts before = facts_from(text.substr(0, size / 2));
  const MachineFacts now = facts_from(text);
  check_account(before);
  check_account(now);
  const TriageReport report = describe_triage(now, {&before, 0.01}, TriageOptions());
  std::ostringstream shown;
  render_text(report, false, shown);
  render_json(report, shown);
  const std::string all = shown.str();
  HS_CHECK(std::all_of(all.begin(), all.end(), is_shown));
  return 0;
}
