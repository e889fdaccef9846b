// How much each fact speaks for a site: natural logarithms of likelihood ratios, and what they are
// made from. Estimates, unless it is said where they are counted.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "heapscan/sites/match_sites.h"

namespace heapscan {

// What is expected of a site that writes a field: addresses stay, numbers are often changed later.
constexpr double kAddressStays = 0.93;
constexpr double kNumberStays = 0.75;
constexpr double kWrittenNotZero = 0.85;
// Shares among other blocks, where there are none to ask.
constexpr double kUsualZero = 0.45;
constexpr double kUsualNumber = 0.03;
constexpr double kUsualAddress = 0.004;
constexpr double kUsualWideNumber = 0.0001;
// The likelihood of one size, where only the run knows it: that of some forty sizes which programs
// ask for all the time.
constexpr double kAnySize = 1.0 / 40;
// How much rarer multiples of a large step are than any size.
constexpr double kMostRare = 4;
// Facts behind the first are partly the same thing said again.
constexpr double kDiscount = 0.7;
constexpr double kMostWeight = 5.0;
constexpr double kMostWideWeight = 9.0;  // of a number that fills a word, as characters do
// How often the code that makes one block point at another is seen for what it is.
constexpr double kLinkSeen = 0.5;
constexpr double kLinkOfParent = 1.5;
// How often code of one thing lies within so many bytes.
constexpr double kNear = 0.5;
constexpr double kMostNear = 2.5;
constexpr std::array<uint64_t, 2> kReaches{4096, 32768};
constexpr double kExactType = 2.0;
constexpr double kUsedBeyond = 2.5;
constexpr double kNamed = 0.3;  // share of makers whose name has a word of what they make
constexpr double kMostNamed = 3.0;
constexpr size_t kFewestSamples = 6;  // that agree, to say that it is no chance
// A name that this many functions have proves nothing.
constexpr double kMentioned = 50;
constexpr double kMostMentioned = 3.5;
// Share of the calls that make blocks of some type whose result is a pointer to it.
constexpr double kAssigned = 0.9;
// Share of the calls of operator new among those that make parts of C++'s containers and its objects.
constexpr double kMadeByOperator = 0.97;
// A call that makes strings, where the blocks are some, and where they are not.
constexpr double kMakesText = 1.5;
constexpr double kMakesNoText = -2.5;
// Share of the blocks made for a text that are of its very size, and of others that hold text.
constexpr double kLengthFits = 0.9;
constexpr double kUsualFit = 0.3;
constexpr double kMostCalled = 6.0;
// Share of the calls for arrays of a known element that ask for a multiple of just that.
constexpr double kStepIsElement = 0.85;
// Share of texts that fit the smallest block, and of the longer ones the next one, and so on.
constexpr double kShortText = 0.4;
constexpr double kSeenOnStack =
    0.5;  // share of calls that really allocate whose trace is still there
constexpr double kMostOnStack = 1.5;

inline double weight_of(double observed, double expected, double usual, double most = kMostWeight) {
  const double q = std::clamp(usual, std::min(0.002, std::exp(-most)), 0.995);
  const double weight =
      observed * std::log(expected / q) + (1 - observed) * std::log((1 - expected) / (1 - q));
  return std::clamp(weight, -kMostWeight, most);
}

// How much the weight of a fact of each kind counts, for the facts are estimates and depend on each
// other; how many sites of any size "none of them" is worth (the more there are, the likelier is one
// that was not seen); and how much less likely a site is that does not name its size. From a fit by
// likelihood on 255 lost groups of nine development programs (docs/accuracy.md), but for OnStack, Near
// and "none of them": what the fit gave those it owed to sqlite3, all of whose blocks come through one
// function, and they are set lower by hand; and for Called, Elements and Length, which came later.
constexpr double kNoneOfThem = 4;
constexpr double kNonePerCandidate = 0.2;
constexpr double kUnnamedSize = -0.47;
inline double factor_of(SiteFact::Kind kind) {
  switch (kind) {
    case SiteFact::Kind::Size:
      return 0.39;
    case SiteFact::Kind::Field:
    case SiteFact::Kind::OwnAddress:
    case SiteFact::Kind::Mentions:
      return 0.62;
    case SiteFact::Kind::Written:
      return 0.10;
    case SiteFact::Kind::Linked:
    case SiteFact::Kind::Near:
      return 0.39;
    case SiteFact::Kind::Text:
    case SiteFact::Kind::Named:
      return 1.6;
    case SiteFact::Kind::Called:
    case SiteFact::Kind::Elements:
    case SiteFact::Kind::Length:
    case SiteFact::Kind::OnStack:
    case SiteFact::Kind::Assigned:
    case SiteFact::Kind::Operator:
      return 1;
  }
  return 0;
}

}  // namespace heapscan
