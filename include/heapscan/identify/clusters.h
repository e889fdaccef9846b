// Which blocks are one thing: what reports, suppressions and diffs speak of.
//
// make_clusters() makes them, once, of the families whose evidence gives them one name, and of
// every other family by itself. A block is in exactly one cluster. Clusters are sorted by bytes,
// largest first; ties are settled by fingerprint, so the order is the same for every number of
// threads. A cluster has no verdict: one kind of block may be lost here and in use there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "heapscan/base/id.h"
#include "heapscan/heap/block_column.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/families.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"
#include "heapscan/symbols/symbols.h"
#include "heapscan/symbols/types.h"

namespace heapscan {

// ---- clusters -----------------------------------------------------------------------------------

using ClusterId = Id<struct ClusterTag>;

struct Cluster {
  // Made of names and shapes, never of addresses: the same in another run, under ASLR, on another
  // host and after a rebuild that does not touch the type. No two clusters have the same.
  uint64_t fingerprint = 0;
  Shape shape = Shape::Record;
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  Sizes sizes;
  std::vector<BlockId> samples;  // as a family's
  static constexpr size_t kSamples = Family::kSamples;
};

struct Clusters {
  BlockColumn<ClusterId> members;  // all blocks that were clustered
  Column<ClusterId, Cluster> rows;

  // None for a block that was not clustered.
  [[nodiscard]] ClusterId of(BlockId block) const { return members.of(block, ClusterId::none()); }
};

// ---- what they are ------------------------------------------------------------------------------

// What blocks are, and how we know.
//
// identify() asks every recogniser (vtables, known structs of libraries, containers, DWARF types)
// about the samples of each family. Answers are kept side by side as evidence. make_clusters() then
// makes clusters, and gives each its label, that of the strongest evidence. "Unknown" is an answer:
// evidence has a label only where the samples agree.

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

// One recogniser's answer about a family.
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

// A type that blocks may be of: nothing in them contradicts it.
struct FittingType {
  TypeId type;
  // What speaks for it: ten times the binary logarithm of how much likelier it makes them.
  int score = 0;
};

// The evidence of each family, strongest first.
struct FamilyEvidence {
  Column<FamilyId, std::vector<Evidence>> rows;
  // Of families that no type was settled on: the types of the program that fit, best first. Empty where
  // none does, or very many do, or nobody asked.
  Column<FamilyId, std::vector<FittingType>> fitting;
  Notes notes;
};

// Asks about the largest families only where there are very many, and says so in a note.
[[nodiscard]] FamilyEvidence identify(const MemoryImage& image, const Symbols& symbols,
                                      const Types& types, const RuntimeFacts& runtime,
                                      const HeapModel& heap, const Roots& roots,
                                      const Reachability& reach, const Families& families);

// Of evidence that is sorted, strongest first: the one whose label counts. Null when none has one.
[[nodiscard]] const Evidence* naming_evidence(const std::vector<Evidence>& evidence);

struct Identity {
  std::string label;                      // of the naming evidence; empty: unknown
  TypeId type;                            // likewise
  std::vector<Evidence> evidence;         // strongest first
  std::vector<FittingType> fitting = {};  // of the first family: as of FamilyEvidence
};

struct Identities {
  Column<ClusterId, Identity> rows;
  Notes notes;
};

// The clusters of these families, and what each is. Families whose evidence says that they are one
// thing (the same type, class or container part) are one cluster. What every program has, such as
// text, parts of standard containers and strings of Python, gets a fingerprint of this `program`.
[[nodiscard]] std::pair<Clusters, Identities> make_clusters(const HeapModel& heap,
                                                            Families families,
                                                            FamilyEvidence evidence,
                                                            std::string_view program);

// "nginx" of "nginx-1.22.1", "python" of "python3.11", "app" of "app_v2-3f9c2d17": what the next build
// of the program is called, too.
[[nodiscard]] std::string_view without_version(std::string_view name);
// The file name of the executable without its version, also where that was replaced; empty when
// there is none.
[[nodiscard]] std::string_view name_of_program(const MemoryImage& image);

// The same identities without the words of labels and evidence that quote memory outside modules.
[[nodiscard]] Identities without_heap_names(Identities identities);

}  // namespace heapscan
