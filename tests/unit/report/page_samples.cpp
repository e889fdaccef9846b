#include "unit/report/page_samples.h"

#include <fmt/format.h>

namespace heapscan {

namespace {

LeakGroup hostile_group(Verdict verdict, const std::string& id) {
  LeakGroup group;
  group.id = id;
  group.verdict = verdict;
  group.blocks = 50;
  group.bytes = 3600;
  group.indirect = {10, 400};
  group.kind_total = {50, 3600};
  group.share = 0.5;
  group.sizes = {{72, 50}};
  group.label = hostile("label");
  group.identity = {{"likeness", hostile("identity"), hostile("detail"), 5, 4}};
  group.reasons = {hostile("reason")};
  group.strings = {hostile("string")};
  group.strings_behind = {hostile("behind")};
  group.pointers = {{8, "function", hostile("symbol"), 0.9}};
  group.below = {{"00000000000000bb", hostile("below"), BelowRow::kNoParent, 8, 10, 400, false}};
  group.below_line = hostile("below line");
  group.sites.rows = {{hostile("module"),
                       Addr(0x1000),
                       hostile("function"),
                       4,
                       hostile("source"),
                       hostile("callee"),
                       0.9,
                       {hostile("fact")},
                       {{hostile("place"), hostile("text"), hostile("fact")}}}};
  group.sites.candidates = 1;
  group.sites.is_answered = true;
  group.child_of = {hostile("parent")};
  group.content_hex = "0011223344556677";
  group.content_text = hostile("content");
  group.example = Addr(0x555500001000);
  group.members_shown = {Addr(0x555500001000)};
  return group;
}

CaptureFacts hostile_facts() {
  CaptureFacts facts;
  facts.pid = 4711;
  facts.command = hostile("command");
  facts.executable = hostile("executable");
  facts.source = hostile("source");
  facts.captured_at = 1.8e9;
  facts.pause_seconds = 0.004;
  return facts;
}

MemoryAccount some_memory() {
  MemoryAccount memory;
  for (size_t i = 0; i < kMemoryUses; ++i)
    memory.rows.push_back({static_cast<MemoryUse>(i), 8192 * (i + 1), 4096 * (i + 1)});
  memory.total = {MemoryUse::HeapInUse, 8192 * 78, 4096 * 78};
  memory.managers = {{hostile("manager"), hostile("hint")}};
  return memory;
}

ClusterMap hostile_map() {
  ClusterMap map;
  map.id = "00000000000000aa";
  map.label = hostile("label");
  map.samples = 5;
  map.example = Addr(0x555500001000);
  map.example_size = 80;
  map.rows_end = 72;
  MapRow row;
  row.bytes = "0011223344556677";
  row.kind = "text";
  row.meaning = hostile("meaning");
  row.member = hostile("member");
  row.type = hostile("type");
  row.mostly = hostile("mostly");
  row.samples = 5;
  row.agreeing = 4;
  row.length = 72;
  map.rows = {row};
  return map;
}

HoldsRow holds_row(uint32_t parent, RetainedNode::Kind kind, const std::string& name,
                   VerdictTotal retained) {
  HoldsRow row;
  row.parent = parent;
  row.kind = kind;
  row.name = hostile(name);
  row.type = hostile("type");
  row.retained = retained;
  row.cluster = kind == RetainedNode::Kind::Blocks ? "00000000000000cc" : "";
  row.address = Addr(0x555500002000);
  return row;
}

}  // namespace

std::string hostile(const std::string& name) {
  return name +
         "</script><script>window.__pwned=1</script><img src=x onerror=window.__pwned=1>"
         "\"onmouseover='window.__pwned=1' &lt;&\x01\x1b[31m\xff\xe2\x80\xa8\xe2\x80\xae;`${1}`";
}

Report hostile_report() {
  Report report;
  report.target = hostile_facts();
  report.threads = 3;
  report.allocator = hostile("allocator");
  report.version = hostile("version");
  report.memory = some_memory();
  report.heap.used = {100, 10'000};
  report.verdicts[static_cast<size_t>(Verdict::Definite)] = {50, 3600};
  report.verdicts[static_cast<size_t>(Verdict::Indirect)] = {10, 400};
  report.verdicts[static_cast<size_t>(Verdict::Possible)] = {50, 3600};
  report.verdicts[static_cast<size_t>(Verdict::Reachable)] = {40, 6000};
  report.leaks = {hostile_group(Verdict::Definite, "00000000000000aa"),
                  hostile_group(Verdict::Possible, "00000000000000ab")};
  report.groups_left_out.lost = 7;
  report.held = {40, 6000};
  report.holders = {{hostile("holder"), {30, 5000}}};
  MappingRow mapping;
  mapping.address = Addr(0x7f0000000000);
  mapping.size = 4096;
  mapping.reason = hostile("mapping");
  mapping.kind = hostile("kind");
  report.mappings = {mapping};
  report.notes = {{NoteKind::MissingFile, hostile("subject"), hostile("note")}};
  report.options.command = hostile("heapscan attach 4711");
  report.options.holds_command = hostile("heapscan holds 4711");
  return report;
}

PageParts hostile_parts() {
  using Kind = RetainedNode::Kind;
  PageParts parts;
  parts.maps = {hostile_map()};
  HoldsReport holds;
  holds.target = hostile_facts();
  holds.live = {40, 6000};
  holds.rows = {holds_row(HoldsRow::kNoParent, Kind::Whole, "everything", {40, 6000}),
                holds_row(0, Kind::Owner, "program", {40, 6000}),
                holds_row(1, Kind::Group, "sessions", {30, 5000}),
                holds_row(2, Kind::Blocks, "session", {30, 5000}),
                holds_row(1, Kind::Rest, "others", {10, 1000})};
  holds.command = "heapscan holds 4711";
  parts.holds = std::move(holds);
  return parts;
}

ChangeReport hostile_changes() {
  ChangeReport report;
  report.before = hostile_facts();
  report.after = hostile_facts();
  report.seconds = 60;
  report.is_same_process = true;
  report.is_resident = true;
  report.intervals = 3;
  report.causes = {{Cause::HeldGrowth, 1000, 9000}, {Cause::Leak, 0, 2000}};
  report.all.lost.confirmed = {10, 2000};
  ChangeRow row;
  row.cluster = "00000000000000dd";
  row.label = hostile("label");
  row.change.was = {10, 1000};
  row.change.is = {90, 9000};
  row.change.lost_now = {20, 2000};
  row.change.was_judged[static_cast<size_t>(Verdict::Reachable)] = {10, 1000};
  row.change.is_judged[static_cast<size_t>(Verdict::Reachable)] = {70, 7000};
  row.change.is_judged[static_cast<size_t>(Verdict::Definite)] = {20, 2000};
  report.all.was = row.change.was;
  report.all.is = row.change.is;
  report.all.is_judged = row.change.is_judged;
  row.holder = hostile("holder");
  row.is_stale = true;
  row.grew = 2;
  row.history = {1000, 4000, 9000};
  report.rows = {row};
  report.left_out = 4;
  report.notes = {{NoteKind::MissingFile, hostile("subject"), hostile("note")}};
  report.command = hostile("heapscan diff a b");
  return report;
}

WatchPage hostile_watch() {
  WatchPage page;
  page.start.pid = 4711;
  page.start.command = hostile("command");
  for (int i = 0; i < 5; ++i) {
    SampleLine sample;
    sample.seconds = 10.0 * i;
    sample.memory.resident = (10U + static_cast<uint64_t>(i)) << 20;
    sample.memory.anonymous = (8U + static_cast<uint64_t>(i)) << 20;
    page.samples.push_back(sample);
  }
  page.looks = {{0, 1, hostile("reason"), 0.002, {10, 1000}, {0, 0}},
                {40, 2, "at the end", 0.003, {90, 9000}, {20, 2000}}};
  page.notes = {{20, hostile("note")}};
  page.report.pid = 4711;
  page.report.command = hostile("command");
  page.report.ended = hostile("ended");
  page.report.seconds = 40;
  page.report.samples = 5;
  page.report.looks = 2;
  page.report.first = page.samples.front().memory;
  page.report.last = page.samples.back().memory;
  page.report.limits = {{hostile("cgroup"), uint64_t{1} << 30, uint64_t{1} << 29, 0}};
  page.report.left = TimeLeft{0, 3600, 3000, 4000};
  page.report.changes = hostile_changes();
  return page;
}

WhyReport hostile_why() {
  WhyReport report;
  report.target.command = hostile("command");
  report.command = hostile("heapscan why 4711 0x555500001010");
  report.notes = {{NoteKind::Input, hostile("where"), hostile("note")}};
  WhyAnswer reachable;
  reachable.asked = Addr(0x555500001010);
  reachable.block = Addr(0x555500001000);
  reachable.size = reachable.resident = 264;
  reachable.state = "reachable";
  reachable.label = hostile("label");
  reachable.cluster = "00000000000000aa";
  reachable.retained = VerdictTotal{3, 4096};
  WhyPath path;
  path.owner = hostile("owner");
  path.root = hostile("root");
  path.place = Addr(0x555500000040);
  path.steps = {{8, hostile("member"), Addr(0x555500002000), 64, 64, hostile("holder"), "", 7},
                {16, "", Addr(0x555500001000), 264, 264, hostile("label"), "", 1}};
  reachable.paths = {path, path};
  WhyAnswer lost;
  lost.asked = lost.block.emplace(0x555500003000);
  lost.state = "definite";
  lost.reasons = {hostile("reason")};
  WhyAnswer elsewhere;
  elsewhere.place = hostile("place");
  report.answers = {reachable, lost, elsewhere};
  return report;
}

Report report_of_groups(size_t groups) {
  Report report = hostile_report();
  report.leaks.clear();
  for (size_t i = 0; i < groups; ++i) {
    LeakGroup group;
    group.id = fmt::format("{:016x}", i + 1);
    group.label = fmt::format("struct type_{}", i);
    group.blocks = 1 + i % 97;
    group.bytes = 64 * (groups - i);
    group.sizes = {{64, group.blocks}};
    group.example = Addr(0x555500000000 + 64 * i);
    report.leaks.push_back(std::move(group));
  }
  return report;
}

}  // namespace heapscan
