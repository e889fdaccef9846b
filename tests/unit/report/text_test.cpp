#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <sstream>

#include "heapscan/base/text.h"
#include "heapscan/identify/field_meaning.h"
#include "heapscan/symbols/symbols.h"
#include "unit/report/judged_program.h"

namespace heapscan {
namespace {

using ::testing::ContainsRegex;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string text_of(const Report& report, bool color = false) {
  std::ostringstream out;
  render_text(report, color, out);
  return out.str();
}

LeakGroup group(Verdict verdict, uint64_t size, uint64_t blocks) {
  LeakGroup group;
  group.id = "19e0ab4c5d6f7081";
  group.verdict = verdict;
  group.blocks = blocks;
  group.bytes = size * blocks;
  group.sizes = {{size, blocks}};
  group.label = "unknown type (" + std::to_string(size) + " B)";
  group.reasons = {"no pointer to 0x55550010 found anywhere in the process",
                   "of the first 2: 2 unreferenced"};
  group.content_hex = "00000000000000000100000000000000";
  group.content_text = "\\x00";
  group.example = Addr(0x55550010);
  group.members_shown = {Addr(0x55550010)};
  return group;
}

void set_total(Report& report, Verdict verdict, uint64_t blocks, uint64_t bytes) {
  report.verdicts[static_cast<size_t>(verdict)] = {blocks, bytes};
}

Report small_report() {
  Report report;
  report.target = live_facts();
  report.threads = 9;
  report.allocator = "glibc";
  report.version = "2.36";
  report.layout_source = "dwarf";
  report.arenas = 4;
  report.heap.used = {3104220, 1524713390};
  report.heap.free = {1000, 200 << 20};
  report.heap.top_bytes = 10 << 20;
  report.heap.trimmable_bytes = 180 << 20;
  report.options.command = "heapscan attach 4711";
  set_total(report, Verdict::Definite, 127000, 127000 * 256);
  set_total(report, Verdict::Indirect, 10, 400);
  set_total(report, Verdict::Possible, 3, 120);
  report.leaks = {group(Verdict::Definite, 256, 127000), group(Verdict::Possible, 40, 3)};
  report.leaks[0].indirect = {10, 400};
  return report;
}

TEST(Text, SaysWhenMissingMemoryMadeBlocksPossible) {
  Report report = small_report();
  report.possible_for_lack_of_memory = 2;
  EXPECT_THAT(text_of(report),
              HasSubstr("possible    120 B in 3 blocks, 2 of them only because memory that "
                        "might point to them is missing\n"));
}

TEST(Text, FitsOneScreenAndBeginsWithTheVerdict) {
  EXPECT_EQ(text_of(small_report()),
            R"(heapscan: pid 4711 (fake), 9 threads, stopped for 38 ms
heap        1.4 GiB in use in 3,104,220 blocks, 4 arenas (glibc 2.36); 210.0 MiB free in arenas, 180.0 MiB trimmable
leaked      31.0 MiB unreachable in 127,010 blocks (31.0 MiB definite, 400 B indirect); 1 group accounts for 100 %
  #1    31.0 MiB  127,000 × 256 B   unknown type (256 B)   + 400 B in 10 blocks reachable only through them
      at 0x55550010: 0000000000000000 0100000000000000
      no pointer to 0x55550010 found anywhere in the process
      heapscan attach 4711 --cluster 19e0ab4c5d6f7081
possible    120 B in 3 blocks, referenced only by interior or ambiguous pointers
  #2       120 B        3 × 40 B   unknown type (40 B)
      at 0x55550010: 0000000000000000 0100000000000000
      no pointer to 0x55550010 found anywhere in the process
      of the first 2: 2 unreferenced
      heapscan attach 4711 --cluster 19e0ab4c5d6f7081
not judged  0 B
SUMMARY: 31.0 MiB definitely lost in 127,000 blocks, 400 B indirectly, 120 B possibly
)");
}

TEST(Text, CountsWhatHangsBelowOthersWithItsKind) {
  Report report = small_report();
  LeakGroup& group = report.leaks[0];
  group.kind_total = {127000 + 8, (127000 + 8) * 256};
  group.kind_sizes = {256, 272};
  group.indirect_alike = {8, 8 * 256};
  group.indirect = {10, 8 * 256 + 80};
  EXPECT_THAT(text_of(report),
              HasSubstr("127,008 × 256..272 B   unknown type (256 B)   (127,000 definite)   "
                        "+ 80 B in 2 other blocks reachable only through them\n"));
  group.indirect = group.indirect_alike;
  EXPECT_THAT(text_of(report),
              HasSubstr("127,008 × 256..272 B   unknown type (256 B)   (127,000 definite)\n"));
}

TEST(Text, SaysWhatAGroupIsAndHolds) {
  Report report = small_report();
  LeakGroup& group = report.leaks[0];
  group.label = "struct session";
  group.identity = {{"pointed", "struct session", "variable sessions points at them", 64, 63}};
  group.strings = {"\"GET /index...\""};
  group.pointers = {{16, name_of(Meaning::Vtable), "vtable for Conn", 1},
                    {40, name_of(Meaning::Object), "idle_list", 0.5}};
  group.below_line = "127,000 × struct session{text}";
  group.sizes = {{40, 1000}, {256, 126000}};
  EXPECT_THAT(text_of(report), HasSubstr(R"(
  #1    31.0 MiB  127,000 × 40..256 B   struct session   + 400 B in 10 blocks reachable only through them
      "GET /index..."; +0x10 -> vtable for Conn; +0x28 -> &idle_list (50 %)
      variable sessions points at them (63 of 64 samples)
      127,000 × struct session{text}
      no pointer to 0x55550010 found anywhere in the process
      heapscan attach 4711 --cluster 19e0ab4c5d6f7081
)"));
}

TEST(Text, RepeatsTheKindsThatGroupsWereFormedOf) {
  Report report = small_report();
  report.options.kinds = VerdictSet{Verdict::Definite, Verdict::Indirect};
  EXPECT_THAT(text_of(report), HasSubstr(" --cluster 19e0ab4c5d6f7081\n"));
  report.options.kinds->add(Verdict::Reachable);
  EXPECT_THAT(text_of(report),
              HasSubstr(" --cluster 19e0ab4c5d6f7081 --kinds definite,indirect,reachable\n"));
}

TEST(Text, ShortensNamesUnlessVerbose) {
  Report report = small_report();
  report.leaks[0].label = "node of std::map<std::string, " + std::string(200, 'x') + " >";
  report.leaks[0].identity = {{"pointed", "x", std::string(5000, 'd'), 1, 1}};
  report.leaks[0].child_of = {std::string(5000, 'p')};
  std::istringstream lines(text_of(report));
  for (std::string line; std::getline(lines, line);) EXPECT_LT(line.size(), 200U);
  EXPECT_THAT(text_of(report), HasSubstr("   node of std::map<std::string, ...>   +"));
  report.options.verbose = true;
  EXPECT_THAT(text_of(report), HasSubstr(report.leaks[0].label));
}

TEST(Text, ListsWhatWasSuppressedAndWhy) {
  Report report = small_report();
  EXPECT_THAT(text_of(report), Not(HasSubstr("suppressed")));
  report.suppressed = {12, 480};
  report.suppressions = {{"leak:foo", "my.supp:3", "", 2, 80},
                         {"type:^bar$", "built in", "kept by the loader", 10, 400}};
  const std::string text = text_of(report);
  EXPECT_THAT(text, HasSubstr("\nsuppressed  480 B in 12 blocks\n"
                              "        2 blocks        80 B  leak:foo (my.supp:3)\n"
                              "       10 blocks       400 B  type:^bar$ (built in): kept by the "
                              "loader\n"));
  EXPECT_THAT(text, EndsWith("; 480 B suppressed\n"));
}

TEST(Text, NamesRulesThatMatchNothing) {
  Report report = small_report();
  for (int i = 1; i <= 7; ++i)
    report.unused_suppressions.push_back({"leak:old" + std::to_string(i), "my.supp:9", "", 0, 0});
  EXPECT_THAT(text_of(report),
              HasSubstr("\nsuppressed  0 B in 0 blocks\n"
                        "        0 blocks         0 B  leak:old1 (my.supp:9): matches nothing\n"));
  EXPECT_THAT(text_of(report), HasSubstr("leak:old5 (my.supp:9): matches nothing\n"
                                         "  2 more rules match nothing, show with: heapscan attach "
                                         "4711 -v\n"));
  report.options.verbose = true;
  EXPECT_THAT(text_of(report), HasSubstr("leak:old7 (my.supp:9): matches nothing\n"));
  report.options.verbose = false;
  report.options.quiet = true;
  EXPECT_THAT(text_of(report), Not(HasSubstr("suppressed")));
}

TEST(Text, ColumnsOfTheSearchAddUp) {
  Report report = small_report();
  report.options.verbose = true;
  report.funnel = {{"stack", {1000, 900, 40, 25, 5}}};
  EXPECT_THAT(text_of(report),
              HasSubstr("\nwords       searched = no heap address + no block there "
                        "+ interior + reached before + followed\n"));
  EXPECT_THAT(text_of(report), ContainsRegex("stack +1,000 +900 +40 +30 +25 +5\n"));
}

TEST(Text, SaysWhenNothingIsLost) {
  Report report = small_report();
  report.leaks.clear();
  report.verdicts = {};
  const std::string text = text_of(report);
  EXPECT_THAT(text, HasSubstr("\nleaked      nothing\n"));
  EXPECT_THAT(text, HasSubstr("\npossible    nothing\n"));
  EXPECT_THAT(
      text, EndsWith("\nSUMMARY: 0 B definitely lost in 0 blocks, 0 B indirectly, 0 B possibly\n"));
}

TEST(Text, QuietKeepsTheVerdictsOnly) {
  Report report = small_report();
  report.options.quiet = true;
  report.notes = {{NoteKind::Thread, "", "a note"}};
  EXPECT_EQ(
      text_of(report),
      R"(leaked      31.0 MiB unreachable in 127,010 blocks (31.0 MiB definite, 400 B indirect); 1 group accounts for 100 %
possible    120 B in 3 blocks, referenced only by interior or ambiguous pointers
not judged  0 B
SUMMARY: 31.0 MiB definitely lost in 127,000 blocks, 400 B indirectly, 120 B possibly
)");
}

TEST(Text, ColoursOnlyUnderline) {
  Report report = small_report();
  report.notes = {{NoteKind::Thread, "", "a note"}};
  const std::string plain = text_of(report);
  const std::string colored = text_of(report, true);
  EXPECT_THAT(plain, Not(HasSubstr("\x1b")));
  EXPECT_THAT(colored, HasSubstr("\x1b["));
  EXPECT_EQ(std::regex_replace(colored, std::regex("\x1b\\[[0-9;]*m"), ""), plain);
}

TEST(Text, PrintsNoControlByteOfTheTarget) {
  constexpr const char* kHostile = "a\x1b[31m\n\x9b\x07";
  JudgedProgram program;
  program.label(kHostile);
  const Addr at = program.definite(200, "title \x1b]0;owned\x07");
  program.program().poke(at + 32, FakeProgram::kCode + 0x40);
  program.label("");
  program.definite(72, "four\nlines\twide");
  program.possible(40);
  Analysis analysis = program.judge();
  SymbolsBuilder symbols(analysis.image);
  symbols.add(ModuleId(0),
              {.name = kHostile, .address = Addr(FakeProgram::kCode + 0x40), .size = 16});
  analysis.symbols = symbols.freeze();
  for (Identity& identity : analysis.identities.rows) {
    Evidence evidence;
    evidence.label = kHostile;
    evidence.detail = kHostile;
    identity.evidence.push_back(evidence);
  }
  analysis.heap.notes.push_back({NoteKind::HeapDamage, "\x1b[2J", "\x9b\x7f"});
  CaptureFacts facts = live_facts();
  facts.command = "\x1b[31m";
  ReportOptions options;
  options.verbose = true;
  options.blocks = BlockList::All;
  for (const ClusterId cluster : {ClusterId::none(), ClusterId(0), ClusterId(1)}) {
    options.cluster = cluster;
    const Report report = describe(facts, analysis, options);
    std::string text = text_of(report);
    text = std::regex_replace(text, std::regex("×"), "x");  // ours, not the target's
    EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](char c) {
      return c == '\n' || (c >= 0x20 && c < 0x7f);
    })) << text;
    EXPECT_THAT(text, HasSubstr("\\x1b[31m"));
  }
}

TEST(Text, SaysHowMuchTheFirstGroupsCover) {
  Report report = small_report();
  report.leaks = {group(Verdict::Definite, 1000, 60), group(Verdict::Definite, 100, 310),
                  group(Verdict::Definite, 90, 100)};
  set_total(report, Verdict::Definite, 470, 100000);
  set_total(report, Verdict::Indirect, 0, 0);
  EXPECT_THAT(text_of(report), HasSubstr("; 2 groups account for 91 %\n"));
}

TEST(Text, GivesGroupsBeyondMostOfTheLossOneLineEach) {
  Report report = small_report();
  report.leaks = {group(Verdict::Definite, 256, 127000), group(Verdict::Definite, 24, 1)};
  report.leaks[1].id = "0000000000000024";
  EXPECT_THAT(text_of(report), Not(HasSubstr("--cluster 0000000000000024")));
  report.options.verbose = true;
  EXPECT_THAT(text_of(report), HasSubstr("--cluster 0000000000000024"));
}

TEST(Text, SaysWhereTheOtherGroupsOfASectionAre) {
  Report report = small_report();
  report.groups_left_out = {12, 7, 0};
  EXPECT_THAT(text_of(report),
              HasSubstr("\n  12 more groups, show with: heapscan attach 4711 -n 13\n"));
  EXPECT_THAT(text_of(report),
              HasSubstr("\n  7 more groups, show with: heapscan attach 4711 -n 8\n"));
  report.options.kinds = VerdictSet{Verdict::Definite, Verdict::Possible};
  EXPECT_THAT(text_of(report), HasSubstr("attach 4711 --kinds definite,possible -n 13\n"));
}

TEST(Text, CountsPossibleGroupsThatAreNotShownOnce) {
  Report report = small_report();
  for (int i = 0; i < 4; ++i) report.leaks.push_back(report.leaks.back());
  EXPECT_THAT(text_of(report),
              HasSubstr("\n  2 more groups, show with: heapscan attach 4711 --kinds possible\n"));
  report.groups_left_out.possible = 7;
  EXPECT_THAT(
      text_of(report),
      HasSubstr("\n  9 more groups, show with: heapscan attach 4711 --kinds possible -n 12\n"));
}

TEST(Text, ShowsFivePerhapsAllNotes) {
  Report report = small_report();
  for (int i = 1; i <= 7; ++i)
    report.notes.push_back({NoteKind::MissingFile, "", "file " + std::to_string(i)});
  const std::string brief = text_of(report);
  EXPECT_THAT(brief, HasSubstr("\nnotes       7\n  missing-file: file 1\n"));
  EXPECT_THAT(
      brief,
      HasSubstr("  missing-file: file 5\n  2 more notes, show with: heapscan attach 4711 -v\n"));
  EXPECT_THAT(brief, Not(HasSubstr("file 6")));
  report.options.verbose = true;
  EXPECT_THAT(text_of(report), HasSubstr("file 7\n"));
}

TEST(Text, TellsOfFailedChecksUnasked) {
  Report report = small_report();
  report.checks = {{"system bytes", true, "same"}, {"mmapped chunks", false, "5, not 6"}};
  const std::string text = text_of(report);
  EXPECT_THAT(
      text,
      HasSubstr("\nchecks      1 of 2 of the allocator's own figures agree with what was found\n"));
  EXPECT_THAT(text, HasSubstr("\n  differs mmapped chunks: 5, not 6\n"));
  EXPECT_THAT(text, Not(HasSubstr("system bytes")));
}

TEST(Text, NamesTheCoreAndWhatKilledIt) {
  Report report = small_report();
  report.target.kind = CaptureFacts::Kind::Core;
  report.target.source = "/tmp/core.1";
  report.target.pause_seconds.reset();
  report.target.signal = 11;
  EXPECT_THAT(text_of(report), StartsWith("heapscan: core /tmp/core.1 (fake), pid 4711, 9 threads, "
                                          "killed by signal 11 (Segmentation fault)\n"));
}

TEST(Text, CountsMappingsInTheSummary) {
  Report report = small_report();
  report.mapping_verdicts[static_cast<size_t>(Verdict::Definite)] = {1, 1 << 20};
  report.mappings = {{Addr(0x7f0000000000), 1 << 20, Verdict::Definite, 4096,
                      "no pointer to 0x7f0000000000 found", "", "", ""}};
  const std::string text = text_of(report);
  EXPECT_THAT(text, HasSubstr("\nmappings    1 leaked (1.0 MiB), 0 possibly leaked (0 B)\n"));
  EXPECT_THAT(text, HasSubstr("\n  0x7f0000000000     1.0 MiB (4.0 KiB resident)  definite  no "
                              "pointer to 0x7f0000000000 found\n"));
  EXPECT_THAT(text, EndsWith("; 1 mapping of 1.0 MiB definitely lost\n"));
}

TEST(Text, MappingsOfOneSizeAreOneLine) {
  Report report = small_report();
  for (uint64_t i = 0; i < 300; ++i) {
    const Addr at(0x7f0000000000 + (i << 20));
    report.mappings.push_back(
        {at, 1 << 16, Verdict::Definite, 4096, "no pointer to " + hex(at) + " found", "",
         "6672616d65206f66" + std::string(i % 2 == 0 ? "30" : "31"), "frame of0"});
  }
  report.mappings.push_back(
      {Addr(0x7e0000000000), 1 << 16, Verdict::Possible, 4096, "named", "", "", ""});
  report.mapping_verdicts[static_cast<size_t>(Verdict::Definite)] = {300, 300 << 16};
  const std::string text = text_of(report);
  EXPECT_THAT(text,
              HasSubstr("\n  300 × 64.0 KiB    18.8 MiB (1.2 MiB resident)  definite  no pointer "
                        "to 0x7f0000000000 found; so are the others\n"
                        "      all begin with 6672616d65206f66\n"
                        "  0x7e0000000000    64.0 KiB (4.0 KiB resident)  possible  named\n"));
}

TEST(Text, SaysWhatKeepsFreeMemory) {
  Report report = small_report();
  report.kept_free.free_bytes = 180 << 20;
  report.kept_free.page_bytes = 170 << 20;
  report.kept_free.is_resident = true;
  ArenaRow arena;
  arena.free_bytes = 180 << 20;
  arena.end_bytes = 2 << 20;
  arena.stretches.push_back(
      {Addr(0x5500'0000'0000), 178 << 20, 170 << 20,
       PinRow{Addr(0x5500'0b20'0000), 32, "used", "struct listener", "", "prog: listeners"}, 1,
       32});
  report.kept_free.arenas = {arena};
  EXPECT_THAT(text_of(report), testing::Not(HasSubstr("kept by malloc")));
  report.kept_free.is_large = true;
  EXPECT_THAT(
      text_of(report),
      HasSubstr("\nfree        180.0 MiB kept by malloc; malloc_trim(0) would give back 170.0 MiB\n"
                "  arena 0   180.0 MiB free, 2.0 MiB of it at the end, which free() gives back; "
                "178.0 MiB lies below 0x55000b200000, 32 B, struct listener, held by "
                "prog: listeners\n"));
}

TEST(Text, SaysOfAnArenaWithNothingFreeAtItsEndWhereTheFreeMemoryLies) {
  Report report = small_report();
  report.kept_free.is_large = true;
  ArenaRow arena;
  arena.free_bytes = 180 << 20;
  arena.stretches.resize(2);
  arena.stretches.front().bytes = 20 << 20;
  report.kept_free.arenas = {arena};
  EXPECT_THAT(text_of(report), HasSubstr("180.0 MiB free, none of it at the end; it lies between "
                                         "blocks in use, the largest piece, 20.0 MiB, "));
}

TEST(Text, SumsUpWhatIsNotJudgedOnlyWhereThatIsOfTwoKinds) {
  Report report = small_report();
  report.missing_bytes = 4096;
  EXPECT_THAT(text_of(report),
              HasSubstr("\nnot judged  4.0 KiB of memory that could not be searched\n"));
  report.damaged_bytes = 1024;
  EXPECT_THAT(text_of(report), HasSubstr("\nnot judged  5.0 KiB: 1.0 KiB of damaged heap, 4.0 KiB "
                                         "of memory that could not be searched\n"));
}

TEST(Text, CountsThreadsThatNobodyJoined) {
  Report report = small_report();
  report.ended_threads = {{"run_job (server.c:30)", Addr(0x1000), 200, uint64_t{200} << 23, 4096},
                          {"", Addr(), 1, uint64_t{1} << 23, 4096}};
  EXPECT_THAT(
      text_of(report),
      HasSubstr("\nthreads     201 ended threads were never joined; 1.6 GiB of stacks (8.0 KiB "
                "resident)\n  200 × run_job (server.c:30)\n  1 × unknown function\n"));
}

TEST(Text, TellsOfAreasOfWhichPartsAreNamed) {
  Report report = small_report();
  report.areas = {
      {Addr(0x7f0000000000), 25 << 20, 256 << 10, 100, 4, {Addr(0x7f0000040000)}, 256 << 10}};
  EXPECT_THAT(
      text_of(report),
      HasSubstr(
          "\nareas       1 part of 256.0 KiB in mappings that touch, possibly leaked\n"
          "  25.0 MiB area 0x7f0000000000, named at 4 places, period 256.0 KiB: nothing names "
          "1 of 100 parts, such as 0x7f0000040000\n"));
}

TEST(Text, ListsBlocks) {
  JudgedProgram program;
  program.definite(24);
  program.possible(40);
  const Analysis analysis = program.judge();
  ReportOptions options;
  options.blocks = BlockList::All;
  EXPECT_THAT(text_of(describe(live_facts(), analysis, options)),
              HasSubstr("blocks\n"
                        "  0x7f5500000010           24 definite   " +
                        id_of_size(24) +
                        "\n"
                        "  0x7f5500000030           40 possible   " +
                        id_of_size(40) + "\n"));
}

TEST(Text, ShowsTimingOnRequest) {
  Report report = small_report();
  report.timing = {{"acquire", 0.25}, {"trace", 1.5}};
  EXPECT_THAT(text_of(report), Not(HasSubstr("timing")));
  report.options.timing = true;
  EXPECT_THAT(text_of(report), HasSubstr("timing\n"
                                         "  acquire                  0.250 s\n"
                                         "  trace                    1.500 s\n"
                                         "  total                    1.750 s\n"));
}

}  // namespace
}  // namespace heapscan
