#include "heapscan/report/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/report/judged_program.h"

namespace heapscan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(Shortened, LeavesShortNamesAlone) {
  EXPECT_EQ(shortened("std::map<int, int>", 18), "std::map<int, int>");
}

TEST(Shortened, LeavesOutArgumentsFromTheInside) {
  const std::string name =
      "std::map<std::string, std::vector<ns::Token, ns::allocator<ns::Token> > >";
  EXPECT_EQ(shortened(name, 60), "std::map<std::string, std::vector<ns::Token, ...>>");
  EXPECT_EQ(shortened(name, 40), "std::map<std::string, ...>");
  EXPECT_EQ(shortened(name, 20), "std::map<...>");
  EXPECT_EQ(shortened(name, 10), "std::... >");
}

TEST(Shortened, CallsStringsStrings) {
  const std::string text =
      "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >";
  EXPECT_EQ(shortened("node of std::set<" + text + ", x>[2] in " + text, 200),
            "node of std::set<std::string, x>[2] in std::string");
  EXPECT_EQ(shortened("std::__cxx11::list<" + text + " >", 200), "std::list<std::string>");
}

TEST(Shortened, LeavesOutDefaultArguments) {
  EXPECT_EQ(shortened("std::deque<double, std::allocator<double> >", 60), "std::deque<double>");
  EXPECT_EQ(shortened("std::map<int, a<b>, std::less<int>, "
                      "std::allocator<std::pair<int const, a<b> > > >::iterator",
                      60),
            "std::map<int, a<b>>::iterator");
  EXPECT_EQ(shortened("std::vector<int, pool::allocator<int> >", 60),
            "std::vector<int, pool::allocator<int> >");
  EXPECT_EQ(shortened("x<int, std::allocator<int", 60), "x<int, std::allocator<int");
}

TEST(Shortened, CutsOtherNamesInTheMiddle) {
  EXPECT_EQ(shortened("a_function_with_a_long_name", 15), "a_functi...name");
}

TEST(Shortened, IsNotMisledByOperatorsAndBrackets) {
  for (const std::string name :
       {"bool operator< <aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>(int)",
        "x::operator->() const aaaaaaaaaaaaaa", "aaaaaaaaaaaa<bbbbbbbbbbbbbbbbbbbbb<cccccccc",
        "aaaaaaaaaaaaaaaaaaaaaaa>>>>>>>>>>>>>>>",
        "std::function<int (int, char, std::vector<aaaaaaaaaaaaaaaaa>)>"}) {
    EXPECT_THAT(shortened(name, 30), SizeIs(testing::Le(30U))) << name;
  }
}

TEST(Shortened, EndsOnHostileNames) {
  std::string deep;
  for (int i = 0; i < 200000; ++i) deep += "a<";
  EXPECT_THAT(shortened(deep, 60), SizeIs(testing::Le(60U)));
  EXPECT_THAT(shortened(std::string(1 << 20, '>'), 60), SizeIs(testing::Le(60U)));
  EXPECT_THAT(shortened(std::string(1 << 20, '<'), 2), SizeIs(testing::Le(3U)));
}

class ClusterNames : public ::testing::Test {
 protected:
  ClusterNames() {
    program_.label("struct a");
    program_.definite(24);
    program_.label("");
    program_.definite(40);
    analysis_ = program_.judge();
    for (size_t i = 0; i < 2; ++i)
      analysis_.clusters.rows[ClusterId(i)].fingerprint = 0x1234567812345670 + i;
  }
  JudgedProgram program_;
  Analysis analysis_;
};

TEST_F(ClusterNames, IdsAreFoundByTheirBegin) {
  EXPECT_EQ(id_of(analysis_, ClusterId(1)), "1234567812345671");
  EXPECT_THAT(find_cluster(analysis_, "1234567812345671").found, ElementsAre(ClusterId(1)));
  EXPECT_THAT(find_cluster(analysis_, "1234").found, SizeIs(2));
  EXPECT_THAT(find_cluster(analysis_, "").found, IsEmpty());
}

TEST_F(ClusterNames, TheNearestIdsComeFirst) {
  const ClusterChoice choice = find_cluster(analysis_, "1234567812345681");
  EXPECT_THAT(choice.found, IsEmpty());
  EXPECT_THAT(choice.near, ElementsAre(ClusterId(1), ClusterId(0)));
}

TEST_F(ClusterNames, LabelsAreEscapedAndNeverEmpty) {
  analysis_.identities.rows[ClusterId(0)].label = "struct \x1b[31m";
  analysis_.identities.rows[ClusterId(1)].label = "";
  EXPECT_EQ(label_of(analysis_, ClusterId(0)), "struct \\x1b[31m");
  Cluster& row = analysis_.clusters.rows[ClusterId(1)];
  row.sizes = {{40, row.blocks}};
  EXPECT_EQ(label_of(analysis_, ClusterId(1)), "unknown type (40 B)");
  row.blocks = 4;
  row.sizes = {{40, 3}, {56, 1}};
  EXPECT_EQ(label_of(analysis_, ClusterId(1)), "unknown type (40 B)");
  row.sizes = {{40, 1}, {4104, 3}};
  EXPECT_EQ(label_of(analysis_, ClusterId(1)), "unknown type (several sizes)");
  EXPECT_EQ(spelled_sizes(row.sizes), "40..4,104 B");
  row.shape = Shape::Text;
  EXPECT_EQ(label_of(analysis_, ClusterId(1)), "text");
}

TEST_F(ClusterNames, EvidenceThatMayQuoteContentIsKeptBack) {
  Evidence content;
  content.detail = "secret";
  Evidence symbol;
  symbol.kind = EvidenceKind::Symbol;
  symbol.detail = "+0x0 -> f\n";
  analysis_.identities.rows[ClusterId(0)].evidence = {symbol, content};
  EXPECT_EQ(identity_of(analysis_, ClusterId(0), true).at(1).detail, "secret");
  const auto kept = identity_of(analysis_, ClusterId(0), false);
  EXPECT_EQ(kept.at(0).detail, "+0x0 -> f\\n");
  EXPECT_EQ(kept.at(1).detail, "");
}

}  // namespace
}  // namespace heapscan
