#include <gtest/gtest.h>

#include "identify/typing/typing.h"
#include "typing_program.h"

namespace heapscan {
namespace {

// struct reply {int type; long number; double real; long length; char *text; char kind[4];
//               long elements; struct reply **element;}: what a client gets from a server.
class TypingReplies : public testing::Test {
 protected:
  TypingReplies() { reply_ = declare("reply"); }
  TypeId declare(const std::string& name) {
    const TypeId type = p_.record(name, 64);
    p_.members(type,
               {{.offset = 0, .type = p_.integer(4), .name = "type"},
                {.offset = 8, .type = p_.integer(8), .name = "number"},
                {.offset = 16, .type = p_.floating(), .name = "real"},
                {.offset = 24, .type = p_.integer(8), .name = "length"},
                {.offset = 32, .type = p_.pointer_to(p_.character()), .name = "text"},
                {.offset = 40, .type = p_.array_of(p_.character(), 4), .name = "kind"},
                {.offset = 48, .type = p_.integer(8), .name = "elements"},
                {.offset = 56, .type = p_.pointer_to(p_.pointer_to(type)), .name = "element"}});
    return type;
  }
  std::vector<Addr> texts(size_t count) {
    const auto replies = p_.family(count, 72);
    std::vector<Addr> strings;
    for (size_t i = 0; i < count; ++i) {
      const std::string words(20 + 3 * i, static_cast<char>('a' + i));
      strings.push_back(p_.program.block(24 + 16 * ((words.size() - 8) / 16)));
      p_.poke_text(strings.back(), words);
      p_.program.poke(replies[i], 1);
      p_.program.poke(replies[i] + 24, words.size());
      p_.program.poke(replies[i] + 32, strings.back());
    }
    p_.group(strings, Shape::Text);
    return replies;
  }
  std::vector<Addr> arrays(size_t count, size_t (*length_of)(size_t)) {
    const auto replies = p_.family(count, 72);
    std::vector<Addr> elements;
    for (size_t i = 0; i < count; ++i) {
      const size_t length = length_of(i);
      elements.push_back(p_.program.block(8 + 16 * (length / 2)));
      for (size_t k = 0; k < length; ++k) {
        const Addr element = p_.program.block(72);
        elements_.push_back(element);
        p_.program.poke(element, 3);
        p_.program.poke(element + 8, 1000 * i + k);
        p_.program.poke(elements.back() + 8 * k, element);
      }
      p_.program.poke(replies[i], 2);
      p_.program.poke(replies[i] + 48, length);
      p_.program.poke(replies[i] + 56, elements.back());
    }
    p_.group(elements, Shape::Pointers);
    p_.group(elements_);
    return replies;
  }
  std::vector<std::string> labels() {
    std::vector<std::string> labels;
    for (const auto& evidence : type_families(p_.inputs()).rows)
      labels.push_back(strongest_label(evidence));
    return labels;
  }

  TypingProgram p_;
  TypeId reply_;
  std::vector<Addr> elements_;
};

TEST_F(TypingReplies, AMemberThatMeasuresATextIsEvidence) {
  texts(8);
  EXPECT_EQ(labels()[0], "struct reply");
}

TEST_F(TypingReplies, AMemberThatCountsElementsIsEvidenceAndNamesThem) {
  arrays(8, [](size_t i) { return 3 + i; });
  EXPECT_EQ(labels(),
            (std::vector<std::string>{"struct reply", "array of struct reply *", "struct reply"}));
}

TEST_F(TypingReplies, ANumberThatCountsNothingIsNone) {
  const auto replies = texts(8);
  for (const Addr reply : replies) p_.program.poke(reply + 24, 7);
  EXPECT_EQ(labels()[0], "");
}

TEST_F(TypingReplies, TwoTypesOfOneLayoutNameNothing) {
  declare("answer");
  texts(8);
  EXPECT_EQ(labels()[0], "");
}

// struct value {int kind; union {long number; char *text; struct value *inner;} as;
//               struct value *next;}: each kind has fallen into a family of its own.
class TypingChosenArms : public testing::Test {
 protected:
  TypingChosenArms() {
    value_ = p_.record("value", 24);
    const TypeId as = p_.record("", 8, TypeKind::Union);
    p_.members(as, {{.offset = 0, .type = p_.integer(8), .name = "number"},
                    {.offset = 0, .type = p_.pointer_to(p_.character()), .name = "text"},
                    {.offset = 0, .type = p_.pointer_to(value_), .name = "inner"}});
    p_.members(value_, {{.offset = 0, .type = p_.integer(4), .name = "kind"},
                        {.offset = 8, .type = as, .name = "as"},
                        {.offset = 16, .type = p_.pointer_to(value_), .name = "next"}});
    // Fits what each family has by itself.
    const TypeId other = p_.record("window", 24);
    p_.members(other, {{.offset = 0, .type = p_.integer(8), .name = "id"},
                       {.offset = 8, .type = p_.integer(8), .name = "size"},
                       {.offset = 16, .type = p_.pointer_to(other), .name = "next"}});
  }
  void fill() {
    numbers_ = p_.family(8, 24);
    texts_ = p_.family(8, 24);
    std::vector<Addr> strings;
    for (size_t i = 0; i < 8; ++i) {
      strings.push_back(p_.program.block(40));
      p_.poke_text(strings.back(), "text of value " + std::to_string(i));
      p_.program.poke(numbers_[i], 1);
      p_.program.poke(numbers_[i] + 8, 100 + i);
      p_.program.poke(numbers_[i] + 16, texts_[i]);
      p_.program.poke(texts_[i], 2);
      p_.program.poke(texts_[i] + 8, strings.back());
      p_.program.poke(texts_[i] + 16, numbers_[(i + 1) % 8]);
    }
    p_.group(strings, Shape::Text);
  }
  std::vector<std::string> labels() {
    std::vector<std::string> labels;
    for (const auto& evidence : type_families(p_.inputs()).rows)
      labels.push_back(strongest_label(evidence));
    return labels;
  }

  TypingProgram p_;
  TypeId value_;
  std::vector<Addr> numbers_, texts_;
};

TEST_F(TypingChosenArms, FamiliesThatLeadToEachOtherAreNamedTogether) {
  fill();
  const auto named = labels();
  EXPECT_EQ(named[0], "struct value");
  EXPECT_EQ(named[1], "struct value");
}

}  // namespace
}  // namespace heapscan
