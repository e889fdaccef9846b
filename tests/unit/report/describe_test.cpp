#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "heapscan/base/text.h"
#include "heapscan/symbols/symbols.h"
#include "unit/report/judged_program.h"

namespace heapscan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

const VerdictTotal& definite_of(const Report& report) {
  return report.verdicts[static_cast<size_t>(Verdict::Definite)];
}

Report report_of(const Analysis& analysis, const ReportOptions& options = {}) {
  return describe(live_facts(), analysis, options);
}

std::vector<uint64_t> group_sizes(const Report& report) {
  std::vector<uint64_t> sizes;
  for (const LeakGroup& group : report.leaks) sizes.push_back(group.sizes.at(0).first);
  return sizes;
}

TEST(Describe, GroupsByVerdictAndCluster) {
  JudgedProgram program;
  program.label("struct session");
  const Addr first = program.definite(40);
  program.definite(72);
  program.possible(40);
  program.reachable(40);
  program.label("");
  program.definite(40);
  const Analysis analysis = program.judge();
  const Report report = report_of(analysis);

  ASSERT_THAT(report.leaks, SizeIs(3));
  const LeakGroup& group = report.leaks[0];
  EXPECT_EQ(group.id, id_of_label("struct session"));
  EXPECT_EQ(group.verdict, Verdict::Definite);
  EXPECT_EQ(group.blocks, 2U);
  EXPECT_EQ(group.bytes, 112U);
  EXPECT_THAT(group.sizes, ElementsAre(std::pair(uint64_t{40}, uint64_t{1}),
                                       std::pair(uint64_t{72}, uint64_t{1})));
  EXPECT_EQ(group.example, first);
  EXPECT_THAT(group.members_shown, SizeIs(2));
  EXPECT_EQ(group.label, "struct session");
  EXPECT_NEAR(group.share, 112.0 / 152, 1e-9);
  EXPECT_EQ(report.leaks[1].id, id_of_size(40));
  EXPECT_EQ(report.leaks[1].label, "unknown type (40 B)");
  EXPECT_EQ(report.leaks[2].verdict, Verdict::Possible);
  EXPECT_EQ(report.leaks[2].id, group.id);
  EXPECT_EQ(report.leaks[2].share, 1);
}

TEST(Describe, CreditsIndirectBlocksToTheGroupOfTheirHead) {
  JudgedProgram program;
  const Addr head = program.definite(40);
  program.definite(40);
  program.indirect(1000, head);
  program.indirect(24, head);
  const Analysis analysis = program.judge();
  const Report report = report_of(analysis);
  ASSERT_THAT(report.leaks, SizeIs(1));
  EXPECT_EQ(report.leaks[0].indirect.blocks, 2U);
  EXPECT_EQ(report.leaks[0].indirect.bytes, 1000U + 24);
}

TEST(Describe, SortsByWhatWouldBeWonAndByCount) {
  JudgedProgram program;
  const Addr head = program.definite(24);
  program.indirect(5000, head);
  program.definite(1000);
  for (int i = 0; i < 3; ++i) program.definite(56);
  const Analysis analysis = program.judge();
  EXPECT_THAT(group_sizes(report_of(analysis)), ElementsAre(24, 1000, 56));
  ReportOptions by_count;
  by_count.sort = SortBy::ByCount;
  EXPECT_THAT(group_sizes(report_of(analysis, by_count)), ElementsAre(56, 1000, 24));
}

TEST(Describe, KeepsTheFirstGroupsOfEachSection) {
  JudgedProgram program;
  for (uint64_t size = 24; size <= 200; size += 16) program.definite(size);
  for (uint64_t size = 24; size <= 88; size += 16) program.possible(size);
  const Analysis analysis = program.judge();
  ReportOptions options;
  options.top = 2;
  const Report report = report_of(analysis, options);
  EXPECT_THAT(group_sizes(report), ElementsAre(200, 184, 88, 72));
  EXPECT_EQ(report.groups_left_out.lost, 10U);
  EXPECT_EQ(report.groups_left_out.possible, 3U);
  EXPECT_EQ(report.groups_left_out.reachable, 0U);
  EXPECT_EQ(definite_of(report).blocks, 12U);
}

TEST(Describe, FiltersBySizeInclusivelyAndLeavesTotalsWhole) {
  JudgedProgram program;
  for (const uint64_t size : {24U, 40U, 56U, 72U}) program.definite(size);
  const Analysis analysis = program.judge();
  ReportOptions options;
  options.min_size = 40;
  options.max_size = 56;
  const Report report = report_of(analysis, options);
  EXPECT_THAT(group_sizes(report), ElementsAre(56, 40));
  EXPECT_EQ(definite_of(report).bytes, 24U + 40 + 56 + 72);
}

TEST(Describe, ListsTheKindsAskedFor) {
  JudgedProgram program;
  const Addr head = program.definite(24);
  program.indirect(40, head);
  program.possible(56);
  program.reachable(72);
  const Analysis analysis = program.judge();
  ReportOptions options;
  options.kinds = VerdictSet{Verdict::Indirect, Verdict::Reachable};
  EXPECT_THAT(group_sizes(report_of(analysis, options)), ElementsAre(40, 72));
}

TEST(Describe, ShowsNoMoreThanTenMembers) {
  JudgedProgram program;
  for (int i = 0; i < 30; ++i) program.definite(40);
  const Analysis analysis = program.judge();
  const Report report = report_of(analysis);
  EXPECT_THAT(report.leaks.at(0).members_shown, SizeIs(10));
  EXPECT_EQ(report.leaks[0].members_shown[0], report.leaks[0].example);
}

TEST(Describe, ShowsTheFirstBytes) {
  JudgedProgram program;
  program.definite(200, "GET /index.html?lang=en HTTP/1.1 and so on");
  program.definite(40, std::string_view("\x01\x00\x02\\\x1b[31m", 8));
  const Analysis analysis = program.judge();
  const Report report = report_of(analysis);
  EXPECT_EQ(report.leaks.at(0).label, "unknown type (200 B)") << "labels never show content";
  EXPECT_EQ(report.leaks[0].content_text, "GET /index.html?lang=en HTTP/1.1");
  EXPECT_THAT(report.leaks[0].content_hex, SizeIs(64));
  EXPECT_EQ(report.leaks[1].content_hex.substr(0, 16), "0100025c1b5b3331");
  EXPECT_THAT(report.leaks[1].content_text, StartsWith("\\x01\\x00\\x02\\\\\\x1b[31\\x00"));
}

TEST(Describe, ShowsTheTextThatMembersHaveInCommon) {
  JudgedProgram program;
  program.label("same");
  program.definite(200, "the same");
  program.definite(200, "the same");
  program.label("alike");
  program.definite(104, "user anna");
  program.definite(88, "user bert");
  program.label("different");
  program.definite(56, "words");
  program.definite(56, "nothing alike");
  program.label("seldom");
  program.definite(40, "seldom");
  program.definite(24, "\x01");
  program.definite(24, "\x02");
  const Analysis analysis = program.judge();
  const Report report = report_of(analysis);
  EXPECT_THAT(report.leaks.at(0).strings, ElementsAre("\"the same\""));
  EXPECT_THAT(report.leaks.at(1).strings, ElementsAre("\"user ...\""));
  EXPECT_THAT(report.leaks.at(2).strings, ElementsAre("such as \"words\", \"nothing alike\""));
  EXPECT_THAT(report.leaks.at(3).strings, IsEmpty());
}

TEST(Describe, FindsTextFurtherIn) {
  JudgedProgram program;
  program.label("a");
  for (int i = 0; i < 3; ++i)
    program.definite(200, std::string_view("\x01\0\0\0\0\0\0\0short\0\0\0GET /index.html\0", 32));
  program.label("b");
  program.definite(40, std::string_view("\x01\0none", 6));
  program.label("c");
  program.definite(24, "long enough for text\x01");
  const Analysis analysis = program.judge();
  const Report report = report_of(analysis);
  EXPECT_THAT(report.leaks.at(0).strings, ElementsAre("\"GET /index.html\" at +0x10"));
  EXPECT_THAT(report.leaks.at(1).strings, IsEmpty());
  EXPECT_THAT(report.leaks.at(2).strings, ElementsAre("\"long enough for text\""));
}

// 2.5, 100.1 and a hash, before the text of a member.
TEST(Describe, TextDoesNotBeginWithTheEndOfANumber) {
  for (const std::string_view number :
       {std::string_view("\0\0\0\0\0\0\x04@", 8), std::string_view("fffff\x06Y@", 8),
        std::string_view("\x81\x92\x0f\xfe\x03\x80\x9fG", 8)}) {
    JudgedProgram program;
    program.label("a");
    const std::string block = std::string(8, '\1') + std::string(number) + "EURUSD of a day";
    for (int i = 0; i < 3; ++i) program.definite(56, block);
    const Analysis analysis = program.judge();
    EXPECT_THAT(report_of(analysis).leaks.at(0).strings,
                ElementsAre("\"EURUSD of a day\" at +0x10"));
  }
}

// A length of one byte, and a member of one.
TEST(Describe, TextMayBeginAnywhere) {
  JudgedProgram program;
  program.label("a");
  for (int i = 0; i < 3; ++i)
    program.definite(56, std::string_view("\x01\0\0\0\0\0\x05name of a thing", 22));
  const Analysis analysis = program.judge();
  EXPECT_THAT(report_of(analysis).leaks.at(0).strings, ElementsAre("\"name of a thing\" at +0x7"));
}

TEST(Describe, ShowsWideText) {
  JudgedProgram program;
  program.label("text");
  constexpr std::u16string_view kText = u"wide text of one kind";
  program.definite(56,
                   std::string_view(reinterpret_cast<const char*>(kText.data()), 2 * kText.size()));
  EXPECT_THAT(report_of(program.judge()).leaks.at(0).strings,
              ElementsAre("\"wide text of one kind\""));
}

TEST(Describe, PointersMadeOfLettersAreNoText) {
  JudgedProgram program;
  program.label("a");
  const Addr letters(FakeProgram::kStrong + 0xa050);  // the bytes "P VUUU"
  for (int i = 0; i < 3; ++i) {
    const Addr block = program.definite(40, std::string_view("\x01", 1));
    program.program().poke(block + 8, letters);
    program.program().poke(block + 16, letters + 0x100000);  // nothing is mapped there
  }
  const Analysis analysis = program.judge();
  EXPECT_THAT(report_of(analysis).leaks.at(0).strings, ElementsAre("\"P fUUU\" at +0x10"));
}

TEST(Describe, ShowsOnlyWhatTheBlockHolds) {
  JudgedProgram program;
  program.definite(24, "abcdefghijklmnopqrstuvwx");
  program.reachable(24, "behind the first block");
  const Analysis analysis = program.judge();
  const Report report = report_of(analysis);
  EXPECT_EQ(report.leaks.at(0).content_text, "abcdefghijklmnopqrstuvwx");
  EXPECT_THAT(report.leaks[0].strings, ElementsAre("\"abcdefghijklmnopqrstuvwx\""));
}

TEST(Describe, NamesWhatMostMembersPointAt) {
  JudgedProgram program;
  const Addr code(FakeProgram::kCode + 0x40);
  program.label("struct conn");
  std::vector<Addr> blocks;
  for (int i = 0; i < 4; ++i) blocks.push_back(program.definite(56));
  for (const Addr at : blocks) program.program().poke(at + 16, code);
  for (size_t i = 0; i < 3; ++i)
    program.program().poke(blocks[i] + 32, FakeProgram::kStrong + 0x80);
  program.program().poke(blocks[0] + 40, code);
  Analysis analysis = program.judge();
  SymbolsBuilder symbols(analysis.image);
  symbols.add(ModuleId(0), {.name = "on_timeout", .address = code, .size = 16});
  analysis.symbols = symbols.freeze();
  const auto pointers = report_of(analysis).leaks.at(0).pointers;
  ASSERT_THAT(pointers, SizeIs(2));
  EXPECT_EQ(pointers[0].offset, 16U);
  EXPECT_EQ(pointers[0].symbol, "on_timeout");
  EXPECT_EQ(pointers[0].share, 1);
  EXPECT_EQ(pointers[1].offset, 32U);
  EXPECT_THAT(pointers[1].symbol, StartsWith("program+0x"));
  EXPECT_EQ(pointers[1].share, 0.75);
}

// A head and, below each other or it, blocks with these labels; `parents` are indices, 0 the head.
std::string line_of_tree(const std::vector<std::string>& labels,
                         const std::vector<uint32_t>& parents) {
  JudgedProgram program;
  std::vector<Addr> blocks;
  for (size_t i = 0; i < labels.size(); ++i) {
    program.label(labels[i]);
    blocks.push_back(i == 0 ? program.definite(40) : program.indirect(24, blocks[0]));
  }
  Analysis analysis = program.judge();
  LeakTree tree;
  tree.heads = 1;
  tree.below = labels.size() - 1;
  for (size_t i = 0; i < labels.size(); ++i) {
    const ClusterId cluster = analysis.clusters.of(analysis.heap.block_at(blocks[i]));
    tree.nodes.push_back({.cluster = cluster,
                          .parent = i == 0 ? TreeNode::kNoParent : parents[i - 1],
                          .blocks = 1,
                          .bytes = 1000 - i});
  }
  tree.cluster = tree.nodes[0].cluster;
  analysis.forest.trees = {tree};
  return report_of(analysis).leaks.at(0).below_line;
}

TEST(Describe, ShowsTreesAsDeepAsTheyFitIntoALine) {
  EXPECT_EQ(line_of_tree({"a", "b", "c", "d", "e"}, {0, 1, 2, 3}), "1 × a{b{c{d{e}}}}");
  const std::string length(36, 'x');
  EXPECT_EQ(line_of_tree({"root", "light", "heavy", length + "1", length + "2", length + "3"},
                         {0, 0, 1, 2, 2}),
            "1 × root{light{...}, heavy{" + length + "2, " + length + "3}}");
}

TEST(Describe, LeavesOutOfATreeWhereContainersLie) {
  EXPECT_EQ(line_of_tree({"Parser", "node of std::list in Parser at +0x8",
                          "text of std::string in node of std::list in Parser at +0x8 at +0x10"},
                         {0, 1}),
            "1 × Parser{node of std::list{text of std::string}}");
}

TEST(Describe, SaysWhatHangsBelowAGroup) {
  JudgedProgram program;
  program.label("Parser");
  const Addr one = program.definite(40);
  const Addr two = program.definite(40);
  program.label("text");
  for (int i = 0; i < 2; ++i) {
    program.indirect(24, one);
    program.indirect(24, two);
  }
  Analysis analysis = program.judge();
  const ClusterId parser = analysis.clusters.of(analysis.heap.block_at(one));
  const ClusterId text(1 - parser.index());
  LeakTree tree;
  tree.cluster = parser;
  tree.heads = 2;
  tree.below = 4;
  tree.nodes = {{.cluster = parser, .blocks = 2, .bytes = 80},
                {.cluster = text, .parent = 0, .offset = 8, .blocks = 4, .bytes = 96}};
  analysis.forest.trees = {tree};
  ReportOptions options;
  options.kinds = VerdictSet{Verdict::Definite, Verdict::Indirect};
  const Report report = report_of(analysis, options);
  ASSERT_THAT(report.leaks, SizeIs(2));
  EXPECT_EQ(report.leaks[0].below_line, "2 × Parser{2 × text}");
  ASSERT_THAT(report.leaks[0].below, SizeIs(1));
  EXPECT_EQ(report.leaks[0].below[0].cluster, id_of_label("text"));
  EXPECT_EQ(report.leaks[0].below[0].parent, BelowRow::kNoParent);
  EXPECT_EQ(report.leaks[0].below[0].offset, 8U);
  EXPECT_THAT(report.leaks[1].child_of, ElementsAre("Parser (+0x8)"));

  analysis.forest.trees[0].nodes.push_back(
      {.cluster = text, .parent = 0, .offset = 16, .blocks = 2, .bytes = 48});
  EXPECT_EQ(report_of(analysis).leaks.at(0).below_line, "2 × Parser{3 × text}") << "of one name";
  analysis.forest.trees[0].nodes[1].repeats = true;
  EXPECT_EQ(report_of(analysis).leaks.at(0).below_line, "2 × Parser{text (6 in all)}");

  analysis.forest.trees[0].heads = 3;
  EXPECT_THAT(report_of(analysis).leaks.at(0).below, IsEmpty())
      << "a tree of other blocks than the group's says nothing";
}

TEST(Describe, TakesSuppressedBlocksOutOfEverything) {
  JudgedProgram program;
  const Addr known = program.definite(40);
  program.indirect(24, known);
  const Addr mapping = program.mapping(4096, Verdict::Definite);
  const Addr other = program.definite(72);
  program.possible(56);
  Analysis analysis = program.judge();
  for (const Addr at : {known, known + 48, mapping})
    analysis.suppressed.blocks.push_back(analysis.heap.block_at(at));
  analysis.suppressed.used = {{1, 3, 40 + 24 + 4096}};
  ReportOptions options;
  SuppressionRule rule;
  rule.pattern = "\x1bknown";
  rule.source = "file:2";
  SuppressionRule builtin = rule;
  builtin.reason = "kept by the loader";
  options.suppressions = {rule, rule, builtin};
  options.blocks = BlockList::Lost;
  const Report report = report_of(analysis, options);
  EXPECT_THAT(group_sizes(report), ElementsAre(72, 56));
  EXPECT_EQ(definite_of(report).blocks, 1U);
  EXPECT_EQ(definite_of(report).bytes, 72U);
  EXPECT_EQ(report.suppressed.blocks, 2U);
  EXPECT_EQ(report.suppressed.bytes, 64U);
  EXPECT_EQ(report.suppressed_mappings.blocks, 1U);
  EXPECT_THAT(report.mappings, IsEmpty());
  ASSERT_THAT(report.suppressions, SizeIs(1));
  EXPECT_EQ(report.suppressions[0].rule, "leak:\\x1bknown");
  EXPECT_EQ(report.suppressions[0].source, "file:2");
  EXPECT_THAT(report.unused_suppressions, SizeIs(1)) << "built-in ones are not told of";
  std::vector<Addr> listed;
  report.blocks.for_each([&](const BlockRow& row) { listed.push_back(row.address); });
  EXPECT_THAT(listed, ElementsAre(other));

  analysis.suppressed.blocks.push_back(analysis.heap.block_at(other));
  std::sort(analysis.suppressed.blocks.begin(), analysis.suppressed.blocks.end());
  EXPECT_FALSE(report_of(analysis, options).anything_definitely_lost());
}

TEST(Describe, KeepsContentOutWhenAsked) {
  JudgedProgram program;
  program.definite(200, "secret token");
  const Analysis analysis = program.judge();
  ReportOptions options;
  options.content = false;
  const Report report = report_of(analysis, options);
  EXPECT_EQ(report.leaks.at(0).label, "unknown type (200 B)");
  EXPECT_THAT(report.leaks[0].content_hex, IsEmpty());
  EXPECT_THAT(report.leaks[0].content_text, IsEmpty());
  EXPECT_THAT(report.leaks[0].strings, IsEmpty());
}

TEST(Describe, KeepsOverwrittenSizesOutOfNotesWithTheContent) {
  JudgedProgram program;
  const Addr block = program.definite(40);
  Analysis analysis = program.judge();
  const std::string before = "the size at " + hex(block + 40) + " is ";
  analysis.heap.notes.push_back({NoteKind::HeapDamage, hex(block), before + "0x7465726365732121"});
  analysis.heap.notes.push_back({NoteKind::HeapDamage, "", "0x"});
  ReportOptions options;
  EXPECT_EQ(report_of(analysis, options).notes.at(0).text, before + "0x7465726365732121");
  options.content = false;
  const Notes notes = report_of(analysis, options).notes;
  EXPECT_EQ(notes.at(0).text, before + "0x...");
  EXPECT_EQ(notes[0].where, hex(block));
  EXPECT_EQ(notes.at(1).text, "0x...");
}

TEST(Describe, EscapesWhatTheTargetSays) {
  JudgedProgram program;
  program.definite(40, "\x1b]0;owned\x07 text");
  Analysis analysis = program.judge();
  analysis.heap.notes.push_back({NoteKind::HeapDamage, "/tmp/\x1b[2J", "a name: \xc2\x9b 31m"});
  analysis.heap.checks.push_back({"name\n", false, "\x1b"});
  analysis.heap.version = "2.36\x1b[31m";
  CaptureFacts facts = live_facts();
  facts.command = "fa\x1bke";
  facts.executable = "/bin/\xff";
  const Report report = describe(facts, analysis, {});
  EXPECT_EQ(report.target.command, "fa\\x1bke");
  EXPECT_EQ(report.target.executable, "/bin/\\xff");
  EXPECT_EQ(report.notes.at(0).where, "/tmp/\\x1b[2J");
  EXPECT_EQ(report.notes[0].text, "a name: \\xc2\\x9b 31m");
  EXPECT_EQ(report.checks.at(0).name, "name\\n");
  EXPECT_EQ(report.version, "2.36\\x1b[31m");
  EXPECT_EQ(report.leaks.at(0).content_text.find('\x1b'), std::string::npos);
}

TEST(Describe, ListsLostMappingsLargestFirst) {
  JudgedProgram program;
  program.mapping(4096, Verdict::Reachable);
  const Addr small = program.mapping(4096, Verdict::Definite);
  const Addr large = program.mapping(65536, Verdict::Possible);
  const Analysis analysis = program.judge();
  const Report report = report_of(analysis);
  ASSERT_THAT(report.mappings, SizeIs(2));
  EXPECT_EQ(report.mappings[0].address, large);
  EXPECT_EQ(report.mappings[1].address, small);
  EXPECT_EQ(report.mappings[1].reason,
            "no pointer to " + hex(small) + " found anywhere in the process");
  EXPECT_EQ(report.mappings[1].resident_bytes, std::nullopt);
  EXPECT_THAT(report.leaks, IsEmpty());
  EXPECT_TRUE(report.anything_definitely_lost());
}

TEST(Describe, PossibleBlocksAloneAreNotALoss) {
  JudgedProgram program;
  program.possible(40);
  const Analysis analysis = program.judge();
  EXPECT_FALSE(report_of(analysis).anything_definitely_lost());
}

TEST(Describe, CountsWhatWasNotJudged) {
  JudgedProgram program;
  program.reachable(40);
  program.program().lose_memory(12288);
  Analysis analysis = program.judge();
  analysis.heap.damaged = {AddrRange::sized(Addr(0x1000), 64), AddrRange::sized(Addr(0x2000), 32)};
  const Report report = report_of(analysis);
  EXPECT_EQ(report.damaged_bytes, 96U);
  EXPECT_EQ(report.missing_bytes, 12288U);
}

// What malloc keeps free, of all that is resident, and whether that is worth a line.
bool is_worth_a_line(uint64_t free_bytes, uint64_t used_bytes, uint64_t resident) {
  MemoryAccount memory;
  memory.rows.resize(kMemoryUses);
  memory.rows[static_cast<size_t>(MemoryUse::HeapFree)].resident_bytes = free_bytes;
  memory.total.resident_bytes = resident;
  FreeMemory free_memory;
  free_memory.free_bytes = free_bytes;
  free_memory.used_bytes = used_bytes;
  return is_much_of(memory, free_memory);
}

TEST(KeptFreeMemory, IsWorthALineWhenItIsMuchOfTheHeapAndOfTheProcess) {
  constexpr uint64_t kMiB = 1 << 20;
  EXPECT_TRUE(is_worth_a_line(20 * kMiB, 40 * kMiB, 70 * kMiB));
  EXPECT_FALSE(is_worth_a_line(2 * kMiB, 2 * kMiB, 62 * kMiB)) << "as of an interpreter";
  EXPECT_FALSE(is_worth_a_line(20 * kMiB, 400 * kMiB, 450 * kMiB));
  EXPECT_FALSE(is_worth_a_line(kMiB / 2, kMiB / 2, 2 * kMiB));
}

}  // namespace
}  // namespace heapscan
