#include "heapscan/identify/field_meaning.h"

#include <bit>

#include "unit/identify/recogniser_world.h"

namespace heapscan {
namespace {

class FieldMeanings : public testing::Test {
 protected:
  // The words of one block, spelled; `prepare` may use world_ and returns them.
  std::vector<std::string> spell(const std::vector<uint64_t>& words, bool content = true) {
    const Addr block = world_.program.block(8 * words.size());
    for (size_t i = 0; i < words.size(); ++i) world_.program.poke(block + 8 * i, words[i]);
    const Inputs& inputs = world_.inputs();
    Clusters clusters;  // as families
    std::vector<ClusterId> cluster_of;
    for (const FamilyId id : inputs.families.family_of) cluster_of.emplace_back(id.index());
    clusters.members = BlockColumn<ClusterId>(inputs.families.blocks, std::move(cluster_of));
    Identities identities;
    identities.rows = Column<ClusterId, Identity>(inputs.families.rows.size());
    for (Identity& identity : identities.rows) identity.label = "struct conn";
    const FieldContext context{inputs.image, inputs.symbols, inputs.heap, inputs.addresses,
                               clusters};
    std::vector<std::string> texts;
    uint64_t expected = 0;
    for (const FieldMeaning& field :
         field_meanings(context, inputs.heap.block_at(block), 8 * words.size())) {
      EXPECT_EQ(field.offset, expected);
      expected += field.length;
      texts.push_back(spelled(field, inputs.image, identities, content));
    }
    EXPECT_EQ(expected, 8 * words.size());
    return texts;
  }

  static uint64_t chars(std::string_view text) {
    uint64_t word = 0;
    for (size_t i = text.size(); i-- > 0;) word = word << 8 | static_cast<unsigned char>(text[i]);
    return word;
  }

  RecogniserWorld world_;
};

TEST_F(FieldMeanings, ValuesAreSpelledAsThePersonReadsThem) {
  EXPECT_EQ(
      spell({0, 0, 3, ~uint64_t{0}, 0xffffffff, uint64_t{7} << 32 | 3,
             std::bit_cast<uint64_t>(1.25), 1'795'168'800, 951'782'400'000, 0xf3a1c4d59be20677}),
      (std::vector<std::string>{"0", "3", "-1", "-1", "3, 7", "1.25", "2026-11-20 10:00:00 UTC",
                                "2000-02-29 00:00:00 UTC", "0xf3a1c4d59be20677"}));
}

TEST_F(FieldMeanings, TextRunsOnOverWords) {
  EXPECT_EQ(spell({chars("GET /ind"), chars("ex.html"), 1, 0x0064006300620061, 5}),
            (std::vector<std::string>{"\"GET /index.html\"", "1", "\"abcd\"", "5"}));
}

TEST_F(FieldMeanings, WideTextRunsOnOverWords) {
  std::vector<uint64_t> words;
  for (const char* at = "wide text"; *at != '\0'; at += 2) {
    words.push_back(static_cast<unsigned char>(at[0]) | uint64_t{static_cast<unsigned char>(at[1])}
                                                            << 32);
    if (at[1] == '\0') break;
  }
  words.push_back(7);
  EXPECT_EQ(spell(words), (std::vector<std::string>{"\"wide text\"", "7"}));
}

TEST_F(FieldMeanings, PointersSayWhatTheyPointAt) {
  const Addr target = world_.program.block(40);
  const Addr free = world_.program.block(40, BlockState::Binned);
  world_.family({target});
  const Addr list = world_.data({0, 0});
  world_.symbol("idle_list", list, 16);
  world_.symbol("_ZN4conn10on_timeoutEi", Addr(FakeProgram::kCode + 0x40), 0x20);
  const Addr vptr = world_.vtable("6Parser");
  EXPECT_EQ(spell({list.value, list.value + 8, FakeProgram::kCode + 0x44, FakeProgram::kCode + 8,
                   vptr.value, target.value, target.value + 16, free.value}),
            (std::vector<std::string>{
                "-> idle_list (data of program)", "-> idle_list+0x8 (data of program)",
                "-> conn::on_timeout(int)+0x4 (code of program)", "-> program+0x8 (code)",
                "-> vtable for Parser", "-> #1 struct conn", "-> #1 struct conn+0x10",
                "-> a free block"}));
}

TEST_F(FieldMeanings, SocketAddressesAreSpelled) {
  // A number of four bytes stands in front of the second.
  const std::vector<uint64_t> words = {0x0100007f'e2840002,
                                       0,
                                       0x50000002'00000007,
                                       0x00000000'0302010a,
                                       0,
                                       0x00000000'bb01000a,
                                       0,
                                       0x01000000'00000000,
                                       0,
                                       0x00000000'1600000a,
                                       0x80fe,
                                       0x02000000'00000000,
                                       3,
                                       0x7878};
  EXPECT_EQ(spell(words), (std::vector<std::string>{"127.0.0.1:34018", "7, 10.1.2.3:80",
                                                    "[::1]:443", "[fe80::2%3]:22", "30840"}));
}

TEST_F(FieldMeanings, PathsOfSocketsAreSpelled) {
  EXPECT_EQ(spell({uint64_t{1} | chars("/run/s") << 16, chars("hop.sock"), 0}),
            (std::vector<std::string>{"unix:/run/shop.sock"}));
}

TEST_F(FieldMeanings, NumbersThatBeginLikeSocketAddressesAreNumbers) {
  const std::vector<std::vector<uint64_t>> decoys = {
      {0x00000005'00030002, 0},                // {short 2, short 3, int 5}: 5.0.0.0
      {0x0100007f'00000002, 0},                // without a port
      {0x0100007f'e2840002, 9},                // something where the kernel has zeros
      {0x0100007f'e2840003, 0},                // another family
      {0xfeffffff'e2840002, 0},                // no host's address
      {uint64_t{1} | chars("shop") << 16, 0},  // a name, but no path
      {0x00000007'0050000a, 0x1234, 0x5678, 0},
  };
  for (const auto& words : decoys) {
    world_ = RecogniserWorld();
    for (const std::string& text : spell(words))
      EXPECT_EQ(text.find_first_of(":/"), std::string::npos) << text;
  }
}

TEST_F(FieldMeanings, MemoryThatIsGoneIsSaid) {
  EXPECT_EQ(spell({FakeProgram::kCode + 0x3000, 0x7fff12345678}),
            (std::vector<std::string>{"-> memory no longer mapped", "0x7fff12345678"}));
}

TEST_F(FieldMeanings, WithoutContentOnlyKindsAndNamesRemain) {
  EXPECT_EQ(spell({chars("password"), 1234, std::bit_cast<uint64_t>(1.25), FakeProgram::kCode + 8},
                  false),
            (std::vector<std::string>{"text", "small integer", "number", "-> program+0x8 (code)"}));
}

}  // namespace
}  // namespace heapscan
