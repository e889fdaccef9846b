// How much each observation weighs when memory is held against a type, or a family of blocks against
// another: every weight of typing/ and families/ has its row here.
//
// Weights of types (Sign) are tenths of a bit: 10 says that the observation is twice as likely if the
// memory is of the type as it is if the memory is of another type of the same size, -10 half as
// likely. They are added up over the members and averaged over the blocks looked at.
//
// Those that say `counted` come from tests/accuracy/count_weights.py, from the lost blocks of seven
// programs (gawk, lua, mandoc, redis, zsh, ninja, flatc; docs/accuracy.md): in 85 families, how often
// the true type shows the sign, against all others of that size that nothing contradicts. The others
// are set by hand: what only this type explains (a pointer to a block of the right type, to code, to
// text) counts much, small numbers count little. They were counted, too, and named fewer blocks, or
// wrong ones, likely because members say the same thing several times, which a sum does not know.
// What is said once more by the same words (the members of one declaration, the elements of an
// array) counts less than the sum, where it is used.
//
// Other thresholds, and bounds, are not here: they stand where they are used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace heapscan {

enum class Sign : uint8_t {
  Nothing,
  Contradicts,
  // Integers, enumerations, truth values, floating-point numbers.
  ZeroNumber,
  SmallNumber,
  LargeNumber,
  NumberIsText,
  TrueValue,
  SmallValue,
  LargeValue,
  MarkBesideValues,
  NoValue,
  PlausibleDouble,
  PlausibleFloat,
  ImplausibleFloat,
  NoFloat,
  // Characters within a block.
  Character,
  NoCharacter,
  EmptyText,
  ShortText,
  Text,
  FullText,
  LongFullText,
  BinaryText,
  TailIsNoText,
  TailIsLateText,
  // Pointers of all kinds.
  NullPointer,
  Mark,
  LeadsElsewhere,
  DataPointerToCode,
  // Pointers to functions, tables of functions, anything.
  ToFunction,
  ToUnknownCode,
  ToUnknownTable,
  ToTableOfClass,
  AnyToBlock,
  AnyToMemory,
  AnyIsNumber,
  // Pointers to characters, numbers and pointers.
  ToText,
  ToShortText,
  ToNoText,
  ToFreedText,
  ToMemory,
  ToZeros,
  ToNumbers,
  // Pointers to structs.
  ToUnknownVariable,
  ToTypedVariable,
  ToFree,
  ToUnknownPlace,
  ToEnd,
  IntoOwnFamily,
  IntoBlock,
  ToOwnFamily,
  ToKnownType,
  ToCandidate,
  ToNoCandidate,
  ToHidden,
  ToHiddenNoCandidate,
  ToOtherSize,
  ToRightSize,
  // A block of the right size behind a pointer, whose members are looked at in turn.
  ToLikely,
  MemberBehind,
  // Strings and vectors of the C++ library.
  ShortString,
  StringInBlock,
  StringFillsBlock,
  VectorInBlock,
  VectorFillsBlock,
  VectorOfElements,
  MemberOfElement,
  // Members that agree with each other, or with the block's size.
  NamesOwnRest,
  CountsTail,
  AgreesWithAnother,
  UnsetMember,
  // Before any member is looked at.
  NotPointedAt,
  OfSystemLibrary,
  ReservedName,
  LivesInThatSize,
  Lives,
  // One word of a kind of blocks beside the same word of live blocks of a type.
  WordNeverSame,
  WordsAreNumbers,
  WordsLeadElsewhere,
  WordsAreAlike,
  WordsNameTheSame,
  WordsAreEqual,
  Count,
};

struct Weight {
  Sign sign = Sign::Nothing;
  int tenths = 0;
  uint8_t support = 0;  // how many things agree that do not come about by chance
};

inline constexpr std::array kWeights{
    Weight{Sign::Nothing, 0, 0},      // what cannot be seen, or may be anything
    Weight{Sign::Contradicts, 0, 0},  // the type is out, however much speaks for it

    Weight{Sign::ZeroNumber, 0, 0},      // most words of most blocks are
    Weight{Sign::SmallNumber, 3, 0},     // what numbers are for, but bytes of any kind may look so
    Weight{Sign::LargeNumber, 0, 0},     // too frequent to rule out, but not to rule in
    Weight{Sign::NumberIsText, -10, 0},  // eight letters as a number
    Weight{Sign::TrueValue, 3, 0},
    Weight{Sign::SmallValue, 3, 0},  // of an enumeration
    Weight{Sign::LargeValue, -5, 0},
    Weight{Sign::MarkBesideValues, 0, 0},  // -1 beside the values of an enumeration
    Weight{Sign::NoValue, -30, 0},         // but a member that was never set holds anything
    Weight{Sign::PlausibleDouble, 20, 1},  // few bit patterns of eight bytes are
    Weight{Sign::PlausibleFloat, 10, 0},   // more of four bytes
    Weight{Sign::ImplausibleFloat, -5, 0},
    Weight{Sign::NoFloat, 0, 0},  // programs use what is no number as a mark

    Weight{Sign::Character, 2, 0},  // a byte is a character to DWARF, whatever it is for
    Weight{Sign::NoCharacter, 0, 0},
    Weight{Sign::EmptyText, 0, 0},
    Weight{Sign::ShortText, 5, 0},         // three letters come about by chance
    Weight{Sign::Text, 30, 1},             // letters, and a zero behind them
    Weight{Sign::FullText, 0, 0},          // letters without an end: it may go on behind the block
    Weight{Sign::LongFullText, 10, 0},     // the same of sixteen letters or more
    Weight{Sign::BinaryText, -3, 0},       // buffers of characters hold anything
    Weight{Sign::TailIsNoText, -30, 0},    // pointers where a struct's text should be
    Weight{Sign::TailIsLateText, -10, 0},  // text that begins with a zero

    Weight{Sign::NullPointer, 0, 0},
    Weight{Sign::Mark, -10, 0},            // (struct session *)1: unusual, but not wrong
    Weight{Sign::LeadsElsewhere, -20, 0},  // what is lost leads to what was freed and used again
    Weight{Sign::DataPointerToCode, -10, 0},

    Weight{Sign::ToFunction, 40, 1},
    Weight{Sign::ToUnknownCode, 0, 0},   // mapped memory that no module explains
    Weight{Sign::ToUnknownTable, 5, 0},  // of a class that is not described
    Weight{Sign::ToTableOfClass, 60, 1},
    Weight{Sign::AnyToBlock, 10, 1},
    Weight{Sign::AnyToMemory, 5, 0},
    Weight{Sign::AnyIsNumber, 0, 0},  // numbers travel in void pointers

    Weight{Sign::ToText, 30, 1},
    Weight{Sign::ToShortText, 5, 0},
    Weight{Sign::ToNoText, -5, 0},  // char * is used for bytes of any kind
    Weight{Sign::ToFreedText, 0, 0},
    Weight{Sign::ToMemory, 3, 0},  // into a block or a module: may be numbers
    Weight{Sign::ToZeros, 10, 1},  // numbers or pointers that are not set yet
    Weight{Sign::ToNumbers, 15, 1},

    Weight{Sign::ToUnknownVariable, 5, 0},
    Weight{Sign::ToTypedVariable, 50, 2},  // nothing is surer
    Weight{Sign::ToFree, -2, 0},           // usual for what is lost, a little unusual for a type
    Weight{Sign::ToUnknownPlace, 0, 0},    // stacks and mappings
    Weight{Sign::ToEnd, 0, 0},             // one past the end of a block
    Weight{Sign::IntoOwnFamily, 10, 1},    // into a block of the family that is asked about
    Weight{Sign::IntoBlock, 3, 0},
    Weight{Sign::ToOwnFamily, 50, 1},  // lists and trees: to a block of the family, as declared
    Weight{Sign::ToKnownType, 50, 1},  // to a block whose type is known, as declared
    Weight{Sign::ToCandidate, 30, 1},  // to a block that may be what is declared, or others
    Weight{Sign::ToNoCandidate, -20, 0},
    Weight{Sign::ToHidden, 5, 0},  // to a type of which nothing but the name is known
    Weight{Sign::ToHiddenNoCandidate, 0, 0},
    Weight{Sign::ToOtherSize, 5, 1},   // large enough, but not the size of one
    Weight{Sign::ToRightSize, 20, 1},  // where its members are not looked at

    Weight{Sign::ToLikely, 20, 1},      // before its members are asked
    Weight{Sign::MemberBehind, 10, 0},  // for each that has support

    Weight{Sign::ShortString, 40, 1},       // points at its own buffer, with the length before it
    Weight{Sign::StringInBlock, 20, 1},     // sound, but its block has another size
    Weight{Sign::StringFillsBlock, 60, 2},  // its room is its block's, whatever is there now
    Weight{Sign::VectorInBlock, -5, 0},
    Weight{Sign::VectorFillsBlock, 40, 1},
    Weight{Sign::VectorOfElements, 40, 2},  // before its elements are asked
    Weight{Sign::MemberOfElement, 10, 0},   // for each that has support

    Weight{Sign::NamesOwnRest, 40, 2},  // leads to what follows the struct in its own block
    Weight{Sign::CountsTail, 40, 2},    // is the number of elements behind it, by the block's size
    Weight{Sign::AgreesWithAnother, 40, 2},  // says how much is there, or which arm is in use
    Weight{Sign::UnsetMember, -30, 0},  // one member that would contradict, taken for never set

    Weight{Sign::NotPointedAt, -20, 0},     // no member of any type leads to it: a part of others
    Weight{Sign::OfSystemLibrary, -32, 0},  // counted: hundreds of structs that few programs meet
    Weight{Sign::ReservedName, 8, 0},       // counted: begins with an underscore
    Weight{Sign::LivesInThatSize, 42, 0},   // counted: there are live blocks of it, of that size
    Weight{Sign::Lives, 7, 0},              // counted: there are, of other sizes

    Weight{Sign::WordNeverSame, -10, 0},  // zero in all of the one, in none of the other
    Weight{Sign::WordsAreNumbers, 2, 0},
    Weight{Sign::WordsLeadElsewhere, 5, 0},  // to stacks and mappings
    Weight{Sign::WordsAreAlike, 15, 1},      // pointers of one kind, or text
    Weight{Sign::WordsNameTheSame, 25, 1},   // functions or variables, on top of that
    Weight{Sign::WordsAreEqual, 8, 1},       // one value in all of both, likewise
};

consteval bool are_in_order(const auto& rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (static_cast<size_t>(rows[i].sign) != i) return false;
  }
  return rows.size() == static_cast<size_t>(Sign::Count);
}
static_assert(are_in_order(kWeights));

[[nodiscard]] constexpr Weight weight_of(Sign sign) { return kWeights[static_cast<size_t>(sign)]; }
[[nodiscard]] constexpr int tenths(Sign sign) { return weight_of(sign).tenths; }

// Of families of blocks (families/family_traits.h). What compares two families is a natural logarithm,
// because it is computed from shares of what was seen; the unit of Sign is a tenth of a bit, and
// 1 nat is 14.4 of them. What a row is, the end of its name says:
//
//   Common   a probability: the share of words, or of names, that have something in general
//   Share    a part of a count that counts elsewhere as well
//   Blocks   a number of blocks
//   Power    the power to which a likelihood ratio is raised before it counts, that is a factor on
//            its logarithm: 1 for what is as good as independent of all else, 0.5 where two such
//            observations say as much as one. It has no unit: it is no likelihood of anything.
//   Nats     a likelihood ratio by itself
namespace weights {

// How common kinds of words are among those that are not zero, in general; by TraitKind. Kinds that
// words get by chance count as more common than they are.
inline constexpr std::array kKindCommon{
    0.0F,   // Zero
    0.22F,  // Integer
    0.08F,  // Pair
    0.1F,   // Number
    0.05F,  // Float
    0.1F,   // Random
    0.08F,  // Text
    0.03F,  // Code
    0.04F,  // Constant
    0.02F,  // Table
    0.05F,  // Data
    0.24F,  // Block
    0.06F,  // Interior
    0.2F,   // Free
    0.04F,  // Elsewhere
};
inline constexpr float kZeroCommon = 0.5F;       // half of all words are
inline constexpr float kIdentityCommon = 0.08F;  // of what names something: one of a dozen things
inline constexpr float kKindredShare = 0.15F;    // what kinds of one family lend each other

// How much is believed before anything is seen, and how much a crowd adds.
inline constexpr float kPriorBlocks = 0.3F;
inline constexpr float kMostBlocks = 8;  // thousands of blocks were written by one line

// Words of one block depend on each other, and one field has several faces: so their odds are damped.
inline constexpr float kZeroPower = 0.6F;       // zero or not: NULL and a pointer are one field
inline constexpr float kNullPower = 0.45F;      // where one side only has pointers into the heap
inline constexpr float kLastFieldPower = 0.5F;  // it may be slack
inline constexpr float kOnlyFieldPower = 1.5F;  // of the smallest blocks, whose rest may be slack
inline constexpr float kSlackPower = 0.15F;     // that rest
inline constexpr float kOwnerPower = 0.4F;      // what a block hangs below
inline constexpr float kOwnerPowerOfTiny = 3;   // also of text and arrays: there is nothing else

// What hardly happens within one field: how much less likely one field is than two.
inline constexpr float kUnwrittenNats = 4;  // a pointer here, never written there: 58 tenths
inline constexpr float kNumberForPointerNats = 1.5F;  // a number here, a pointer there: 22 tenths

// How much likelier one kind than two it has to be that blocks of two sizes are one (merge_sizes.cpp).
inline constexpr float kRestNats = 1;  // that they are, but for what malloc left over: 14 tenths
inline constexpr float kStrayNats = 0.3F;  // that it is a stray, beyond its own family: 4 tenths

}  // namespace weights

}  // namespace heapscan
