// What describe() says of groups of blocks, made part by part.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/base/addr.h"
#include "heapscan/identify/field_meaning.h"
#include "heapscan/identify/words.h"
#include "heapscan/image/image.h"
#include "heapscan/report/block_listing.h"
#include "heapscan/report/report.h"
#include "heapscan/symbols/types.h"
#include "heapscan/triage/retained_tree.h"

namespace heapscan {

// ---- blocks that belong together: those of one verdict and one cluster --------------------------

constexpr size_t kReasonCount = static_cast<size_t>(Reason::BesideReserved) + 1;

struct BlockGroup {
  Verdict verdict = Verdict::Definite;
  ClusterId cluster;
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  VerdictTotal indirect;                         // what is reached only through its blocks
  VerdictTotal indirect_alike;                   // of that, blocks of the same cluster
  VerdictTotal kind_total;                       // all that is lost of the cluster
  std::pair<uint64_t, uint64_t> kind_sizes;      // the smallest and the largest of it
  std::array<uint64_t, kReasonCount> reasons{};  // of possible blocks: how many for each Reason
  std::map<uint32_t, uint64_t> stale;            // of lost ones: how many a stale store still names
  std::vector<BlockId> members;                  // the first few, sorted
};

constexpr size_t kMembersShown = 10;

struct GroupList {
  std::vector<BlockGroup>
      groups;  // at most options.top of lost, possible and reachable ones each, in that order
  GroupsLeftOut left_out;
};

// Of options.cluster alone, if that is set, in whatever verdicts its blocks have.
[[nodiscard]] GroupList make_groups(const Analysis& analysis, const ReportOptions& options);

// The usable sizes of the blocks of each group, with their numbers; sorted by size.
[[nodiscard]] std::vector<std::vector<std::pair<uint64_t, uint64_t>>> sizes_of(
    const Analysis& analysis, const ReportOptions& options, const std::vector<BlockGroup>& groups);

// ---- which member of a type lies at an offset ---------------------------------------------------

struct MemberName {
  std::string name;  // "request.url", "slots[3]"; empty where there is none
  std::string type;  // "char *"
};

// Of a block of `size` bytes that holds one object of `type`, or an array of them; nothing for no
// type, and for what lies behind the last whole object.
[[nodiscard]] MemberName name_member(const Types& types, TypeId type, uint64_t size,
                                     uint64_t offset);

// ---- what they point at -------------------------------------------------------------------------

// What most blocks of a cluster point at: functions, variables, classes and strings of modules.

// What a pointer into a module points at: "vtable for Parser", "session_new (session.c:88)",
// "idle_list+0x8", "\"HTTP/1.1\"", "libfoo.so+0x4010". Escaped; empty for every other field.
[[nodiscard]] std::string spelled_target(const Analysis& analysis, const FieldMeaning& field);

// By offset; at most kMostPointers of the offsets where at least half of the samples agree. Without
// content, no strings.
[[nodiscard]] std::vector<GroupPointer> common_pointers(const Analysis& analysis,
                                                        const AddressMap& addresses,
                                                        ClusterId cluster, bool content);
constexpr size_t kMostPointers = 16;

// ---- what they hold -----------------------------------------------------------------------------

// What blocks hold, for people: the first bytes of one, the text that many have in common, there or
// where their pointers lead.

constexpr size_t kContentBytes = 32;

struct ContentPreview {
  std::string hex;   // two digits a byte; empty when the bytes are not there
  std::string text;  // the same bytes, escaped
};

[[nodiscard]] ContentPreview preview_content(const MemoryImage& image, AddrRange block);

// The strings that at least half of `blocks` hold at one place, escaped and quoted: what all of
// them begin with, or else examples. `"GET /index.html..." at +0x38`, `such as "anna", "bert"`.
// Those of most blocks first, at most kMostStrings. Pointers are no text, whatever bytes they have.
// Of blocks that are nothing but text, up to kMostValues different ones instead.
[[nodiscard]] std::vector<std::string> common_strings(const MemoryImage& image,
                                                      const AddressMap& addresses,
                                                      std::span<const AddrRange> blocks,
                                                      bool nothing_but = false);
constexpr size_t kMostStrings = 2;
constexpr size_t kMostValues = 5;

// What such texts have in common: "\"GET /...\"", "such as \"anna\", \"bert\"": how they begin, if
// at least `shortest` bytes of it are the same, or else up to `examples` of them. Escaped. There
// must be one.
[[nodiscard]] std::string spelled_texts(const std::vector<std::string_view>& texts, size_t shortest,
                                        size_t examples);

// What the pointers at one place of at least half of `blocks` lead to: `+0x18 -> "GET /..."`.
// Longest texts first, at most kMostPointedTexts.
[[nodiscard]] std::vector<std::string> pointed_texts(const Analysis& analysis,
                                                     const AddressMap& addresses,
                                                     std::span<const AddrRange> blocks);
constexpr size_t kMostPointedTexts = 2;

// What hangs below lost heads, however deep: `below "sensors/room-1", "topic"`; what most of them
// have first. Empty when nothing of it is text.
[[nodiscard]] std::string texts_below(const Analysis& analysis, const AddressMap& addresses,
                                      const BlockGroup& from);
constexpr size_t kMostTextsBelow = 3;

// ---- what hangs below lost blocks and what they hang below, out of the folded trees -------------

// Fills in below, below_left_out and below_line of a group of heads. Nothing where the trees tell
// of other blocks than the group does: some of them are suppressed, or not of the sizes asked for.
void describe_below(const Analysis& analysis, const BlockGroup& from, LeakGroup& group);

// Most blocks first.
[[nodiscard]] std::vector<Relation> parents_of(const Analysis& analysis, ClusterId cluster);
[[nodiscard]] std::vector<Relation> children_of(const Analysis& analysis, ClusterId cluster);

// "struct session (+0x18)".
[[nodiscard]] std::string spelled_parent(const Relation& parent);

// ---- who holds what is not lost -----------------------------------------------------------------

// Largest first, each with the container in which at least half of it lies, if there is one. Nothing where
// nobody asked for it.
[[nodiscard]] std::vector<HolderRow> describe_holders(const Analysis& analysis);

[[nodiscard]] HolderRow::Container describe_container(const Analysis& analysis, RetainedRow holder,
                                                      const HeldShare& share);

// ---- why a block is lost or possible, in sentences ----------------------------------------------

// How many members of a group are looked at more closely.
constexpr size_t kMembersExplained = 5;

// Looks up what holds each of `blocks` (any order, repetitions allowed).
[[nodiscard]] HolderTable look_up_holders(const Analysis& analysis, std::vector<BlockId> blocks);

[[nodiscard]] std::vector<std::string> explain_group(const Analysis& analysis,
                                                     const BlockGroup& group,
                                                     const HolderTable& holders);

// Of one block that is not reachable: what refers to it, and how it was judged.
[[nodiscard]] std::vector<std::string> explain_single(const Analysis& analysis, BlockId block);

[[nodiscard]] std::string explain_mapping(const Analysis& analysis, BlockId mapping,
                                          const HolderTable& holders);

// ---- what mappings and holders are called -------------------------------------------------------

// "memfd frames", "shared anonymous memory"; empty: it is private. Safe to print.
[[nodiscard]] std::string kind_of_mapping(const MemoryImage& image, Addr at);

[[nodiscard]] std::string name_of_group(const NamedRoots& roots, RootGroupId group);
[[nodiscard]] std::string name_of_owner(const NamedRoots& roots, RootOwnerId owner);
// "nginx: sessions"
[[nodiscard]] std::string qualified_name(const NamedRoots& roots, RootGroupId group);

}  // namespace heapscan
