// What every recogniser is given, and the form of its answer.
//
// A recogniser is one file with one function: it looks at the samples of one family and returns
// its evidence, or nothing. It may look at anything in Inputs, reads memory through the image, and
// never at more than the samples and what lies one bounded walk behind them.
#pragma once

#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/families.h"
#include "heapscan/identify/identities.h"
#include "heapscan/identify/profile.h"
#include "heapscan/identify/words.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"
#include "heapscan/runtime/runtime_facts.h"
#include "heapscan/symbols/symbols.h"
#include "heapscan/symbols/types.h"

namespace heapscan {

// What is there as soon as it is known which blocks look alike.
struct FamilyInputs {
  const MemoryImage& image;
  const Symbols& symbols;
  const RuntimeFacts& runtime;
  const HeapModel& heap;
  const Roots& roots;
  const Reachability& reach;
  const Families& families;
  const AddressMap& addresses;
};

struct Inputs : FamilyInputs {
  const Types& types;
  const Column<FamilyId, Profile>& profiles;
};

}  // namespace heapscan
