// What the blocks of a cluster are, and how we know.
//
// identify() asks every recogniser (vtables, known structs of libraries, containers, DWARF types)
// about the cluster's samples. Answers are kept side by side as evidence; the label is the
// strongest one's. "Unknown" is an answer: a label is only given when the samples agree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "heapscan/base/id.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"
#include "heapscan/symbols/symbols.h"
#include "heapscan/symbols/types.h"

namespace heapscan {

// How a label was found, weakest first.
enum class EvidenceKind : uint8_t {
  Content,    // what the bytes are: text, numbers, an array of pointers
  Symbol,     // most blocks name one function or object at one offset
  Fit,        // of all types of the program only this one fits the blocks
  LooksLike,  // the shape is that of live blocks of a known type
  Container,  // the invariants of a standard container's part hold
  Library,    // a struct of a known library, by the pointers only it has
  Pointed,    // a typed member or variable points, or pointed, at such blocks
  Vtable,     // the first word is the vtable of a class
};
[[nodiscard]] const char* name_of(EvidenceKind kind);

// One recogniser's answer about a cluster.
struct Evidence {
  EvidenceKind kind = EvidenceKind::Content;
  // What the block is, as source code would say it: "struct session", "Parser", "node of
  // std::map<…>", "text of std::string", "FILE". Names only, never content. Empty when this
  // evidence supports no label.
  std::string label;
  // One sentence for people, without the counts below: "+0x0 -> vtable for Parser". Of kind Content
  // it may quote what the blocks or constants hold, of no other.
  std::string detail;
  TypeId type;            // where the label is a type DWARF describes
  uint32_t samples = 0;   // asked
  uint32_t agreeing = 0;  // of them
  bool unites = false;    // all blocks with this label are one thing, whatever their size and shape
  bool quotes_heap = false;  // the name was read from memory outside modules: it is content, too
};

struct Identity {
  std::string label;               // of the strongest evidence; empty: unknown
  TypeId type;                     // likewise
  std::vector<Evidence> evidence;  // strongest first
};

struct Identities {
  Column<ClusterId, Identity> rows;
  Notes notes;
};

[[nodiscard]] Identities identify(const MemoryImage& image, const Symbols& symbols,
                                  const Types& types, const RuntimeFacts& runtime,
                                  const HeapModel& heap, const Roots& roots,
                                  const Reachability& reach, const Clusters& clusters);

// The same identities without the words of labels and evidence that quote memory outside modules.
[[nodiscard]] Identities without_heap_names(Identities identities);

// Joins clusters whose identities say they are one thing (the same type, class or container part),
// and gives every cluster its final fingerprint, that of no other cluster. What every program has,
// such as parts of standard containers, gets one of this `program`. Returns both tables anew, in
// the order of Clusters.
[[nodiscard]] std::pair<Clusters, Identities> merge_alike(const HeapModel& heap, Clusters clusters,
                                                          Identities identities,
                                                          std::string_view program);

}  // namespace heapscan
