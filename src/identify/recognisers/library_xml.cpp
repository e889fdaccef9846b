// Documents, nodes and XPath contexts of libxml2.
//
// Sources: libxml2 include/libxml/tree.h (the fields all nodes have in common), xpath.h
// (xmlXPathContext), hash.c (a table of {next, key, …} until 2.11, of {hash, key, …} since), 2.6
// to 2.14.
#include <algorithm>
#include <array>

#include "identify/recognisers/library_structs.h"

namespace heapscan {

namespace {

constexpr uint64_t kXmlType = 8;
constexpr uint64_t kXmlDocument = 64;

bool is_xml_document_type(uint32_t type) { return type == 9 || type == 13; }

bool is_xml_document(const FamilyInputs&, const Sample& sample) {
  return is_xml_document_type(half(sample, kXmlType)) &&
         word(sample, kXmlDocument) == sample.begin.value;
}

bool is_document_at(const FamilyInputs& inputs, uint64_t address) {
  const Addr document(address);
  if (document.is_null() || !document.is_aligned(8)) return false;
  const auto type = inputs.image.read<uint32_t>(document + kXmlType);
  return type && is_xml_document_type(*type) &&
         inputs.image.read_addr(document + kXmlDocument) == document;
}

bool belongs_to_xml_document(const FamilyInputs& inputs, const Sample& sample) {
  return is_document_at(inputs, word(sample, kXmlDocument));
}

bool is_xml_node(const FamilyInputs& inputs, const Sample& sample) {
  static constexpr std::array<uint32_t, 7> kTypes = {1, 3, 4, 5, 7, 8, 11};
  return std::find(kTypes.begin(), kTypes.end(), half(sample, kXmlType)) != kTypes.end() &&
         belongs_to_xml_document(inputs, sample);
}

bool is_xml_attribute(const FamilyInputs& inputs, const Sample& sample) {
  return half(sample, kXmlType) == 2 && belongs_to_xml_document(inputs, sample);
}

// Whether the table of a context's functions holds libxml2's own: most contexts have them all.
bool holds_functions(const FamilyInputs& inputs, uint64_t table) {
  constexpr uint32_t kFewest = 16;  // XPath 1.0 has 27, EXSLT adds its own
  constexpr uint64_t kMostSearched = 64 << 10;
  const auto entries = inputs.image.read<uint64_t>(Addr(table));
  if (!entries) return false;
  const uint64_t room = std::min(room_at(inputs, *entries), kMostSearched);
  const Module* module = nullptr;
  uint32_t functions = 0;
  for (uint64_t at = 0; at + 8 <= room; at += 8) {
    const uint64_t address = inputs.image.read<uint64_t>(Addr(*entries) + at).value_or(0);
    if (!is_code(inputs, address)) continue;
    const Module* const own = inputs.image.module_at(Addr(address));
    if (module == nullptr) module = own;
    if (own == module) ++functions;
  }
  return functions >= kFewest;
}

// {document, node, variables, types, functions, axes: each a table with two counts, …, size and
// position within a set of nodes: -1 until it is evaluated, …}.
bool is_xpath_context(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint64_t kSize = 104;
  constexpr uint64_t kPosition = 108;
  constexpr uint32_t kNone = ~uint32_t{0};
  constexpr uint32_t kMostTypes = 256;
  const uint64_t document = word(sample, 0);
  const uint64_t functions = word(sample, 56);
  const bool is_outside = half(sample, kSize) == kNone && half(sample, kPosition) == kNone;
  const bool is_within = half(sample, kSize) != kNone &&
                         half(sample, kPosition) <= half(sample, kSize) &&
                         half(sample, kSize) < 1U << 30 && document != 0;
  if (!is_outside && !is_within) return false;
  if (half(sample, 32) > kMostTypes || half(sample, 64) > kMostTypes) return false;
  const bool is_gone = inputs.addresses.kind_of(document) == WordKind::FreeBlock;
  if (document != 0 && !is_gone) {
    if (!is_document_at(inputs, document)) return false;
    const auto root = inputs.image.read_addr(Addr(word(sample, 8)) + kXmlDocument);
    if (word(sample, 8) != 0 && root != Addr(document)) return false;
    if (functions == 0) return true;  // since 2.13 they are looked for elsewhere
  }
  return room_at(inputs, functions) >= 32 && holds_functions(inputs, functions);
}

constexpr KnownStruct kXmlStructs[] = {
    {"struct _xmlDoc", "a document that points to itself", 160, 256, is_xml_document},
    {"struct _xmlNode", "its type, and the document it points to", 104, 144, is_xml_node},
    {"struct _xmlAttr", "its type, and the document it points to", 88, 128, is_xml_attribute},
    {"xmlXPathContext", "no position yet or one in its document, and a table of XPath's functions",
     328, 480, is_xpath_context},
};

}  // namespace

std::span<const KnownStruct> xml_structs() { return kXmlStructs; }

}  // namespace heapscan
