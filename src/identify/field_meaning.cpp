// A word is classed by AddressMap; then what it points at is asked for its name: a vtable for its
// class, an address in a module for its symbol, read-only data for the string it may begin, a block
// for the cluster it is in. Neighbouring words that mean one thing (a string, a stretch of zeros)
// become one field.
#include "heapscan/identify/field_meaning.h"

#include <algorithm>
#include <array>

#include "heapscan/base/bytes.h"
#include "identify/plausible_values.h"
#include "identify/recognisers/recogniser_names.h"
#include "identify/recognisers/vtable_class.h"

namespace heapscan {

namespace {

constexpr size_t kShortestConstant = 2;

Meaning meaning_of_value(WordKind kind) {
  switch (kind) {
    case WordKind::Zero:
      return Meaning::Zero;
    case WordKind::Small:
    case WordKind::Negative:
      return Meaning::Integer;
    case WordKind::Pair:
      return Meaning::Pair;
    case WordKind::Text:
      return Meaning::Text;
    case WordKind::WideText:
      return Meaning::WideText;
    case WordKind::Float:
      return Meaning::Float;
    case WordKind::Time:
      return Meaning::Time;
    case WordKind::BlockStart:
    case WordKind::BlockInterior:
      return Meaning::Block;
    case WordKind::FreeBlock:
      return Meaning::FreeBlock;
    case WordKind::Stack:
      return Meaning::Stack;
    case WordKind::Mapped:
      return Meaning::Mapped;
    case WordKind::Code:
      return Meaning::Function;
    case WordKind::Constant:
    case WordKind::Data:
      return Meaning::Object;
    case WordKind::Number:
    case WordKind::Random:
      return Meaning::Value;
  }
  return Meaning::Value;
}

int thread_at(const HeapModel& heap, Addr address) {
  for (const ThreadArea& area : heap.threads.areas) {
    const bool inside = area.stack.contains(address) || area.static_tls.contains(address) ||
                        AddrRange::sized(area.descriptor, area.descriptor_size).contains(address);
    if (inside) return area.tid;
  }
  return 0;
}

// The string that begins at `address`, when it is one.
std::string constant_text(const MemoryImage& image, Addr address) {
  std::string text = image.read_string(address, FieldMeaning::kMostText + 1).value_or("");
  const bool printable = std::all_of(
      text.begin(), text.end(), [](char c) { return is_printable(static_cast<unsigned char>(c)); });
  return printable && text.size() >= kShortestConstant ? text : "";
}

void cut_text(FieldMeaning& field) {
  if (field.text.size() <= FieldMeaning::kMostText) return;
  field.text.resize(FieldMeaning::kMostText);
  field.text_goes_on = true;
}

void name_place(const FieldContext& context, FieldMeaning& field, WordKind kind) {
  const Addr address(field.value);
  if (kind != WordKind::Code) {
    const auto found =
        class_of_vtable(context.image, context.symbols, context.addresses, field.value);
    if (found) {
      field.meaning = Meaning::Vtable;
      field.symbol = found->name;
      return;
    }
  }
  const Module* const module = context.image.module_at(address);
  if (module != nullptr) {
    field.module = ModuleId(static_cast<size_t>(module - context.image.modules().data()));
    field.into = address - module->range.begin();
  }
  // What has no size is a mark of the linker, and names nothing behind it.
  const auto hit = context.symbols.ref_at(address);
  if (hit && (hit->size != 0 || hit->offset == 0)) {
    field.symbol = name_of_symbol(hit->name);
    field.into = hit->offset;
    field.module = hit->module;
  } else if (kind == WordKind::Constant) {
    field.text = constant_text(context.image, address);
    if (field.text.empty()) return;
    field.meaning = Meaning::ConstantText;
    cut_text(field);
  }
}

FieldMeaning meaning_of_word(const FieldContext& context, uint64_t offset, uint64_t word) {
  FieldMeaning field;
  field.offset = offset;
  field.value = word;
  const WordKind kind = context.addresses.kind_of(word);
  field.meaning = meaning_of_value(kind);
  if (is_module_pointer(kind)) {
    name_place(context, field, kind);
  } else if (is_block_pointer(kind)) {
    field.block = context.addresses.block_of(word);
    field.cluster = context.clusters.of(field.block);
    field.into = Addr(word) - context.heap.block(field.block).begin();
  } else if (kind == WordKind::FreeBlock) {
    field.block = context.addresses.block_of(word);
  } else if (kind == WordKind::Stack) {
    field.tid = thread_at(context.heap, Addr(word));
  }
  return field;
}

// A string from `offset` to its NUL, which may be the end of the bytes; `step` bytes a character.
void take_text(FieldMeaning& field, Bytes bytes, size_t step) {
  uint64_t at = field.offset;
  while (at + step <= bytes.size() && is_printable(static_cast<unsigned char>(bytes[at])) &&
         std::all_of(bytes.begin() + static_cast<ptrdiff_t>(at + 1),
                     bytes.begin() + static_cast<ptrdiff_t>(at + step),
                     [](std::byte byte) { return byte == std::byte{0}; })) {
    field.text += static_cast<char>(bytes[at]);
    at += step;
  }
  field.length = std::max<uint64_t>(8, Addr(at - field.offset).align_up(8).value);
  cut_text(field);
}

// How far words equal to the field's go on.
void take_equals(FieldMeaning& field, Bytes bytes) {
  while (read_at<uint64_t>(bytes, field.offset + field.length) == field.value) field.length += 8;
}

}  // namespace

const char* name_of(Meaning meaning) {
  static constexpr std::array<const char*, 16> kNames = {
      "zero",  "small integer", "pair of integers", "text", "wide text",     "number", "time",
      "value", "vtable",        "function",         "data", "constant text", "block",  "free block",
      "stack", "other memory"};
  return kNames[static_cast<size_t>(meaning)];
}

bool FieldMeaning::shows_content() const {
  switch (meaning) {
    case Meaning::Integer:
    case Meaning::Pair:
    case Meaning::Text:
    case Meaning::WideText:
    case Meaning::Float:
    case Meaning::Time:
    case Meaning::Value:
    case Meaning::ConstantText:
      return true;
    default:
      return false;
  }
}

std::vector<FieldMeaning> field_meanings(const FieldContext& context, BlockId block,
                                         uint64_t limit) {
  std::vector<FieldMeaning> fields;
  const Block& row = context.heap.block(block);
  const auto view = context.image.view(AddrRange::sized(row.begin(), std::min(row.size(), limit)));
  if (!view) return fields;
  const Bytes bytes = *view;
  for (uint64_t offset = 0; offset + 8 <= bytes.size(); offset += fields.back().length) {
    FieldMeaning field = meaning_of_word(context, offset, load<uint64_t>(bytes.data() + offset));
    if (field.meaning == Meaning::Text) {
      take_text(field, bytes, 1);
    } else if (field.meaning == Meaning::WideText) {
      take_text(field, bytes, 2);
    } else if (field.meaning == Meaning::Pair && wide_text_length(bytes.subspan(offset), 4) > 0) {
      field.meaning = Meaning::WideText;
      take_text(field, bytes, 4);
    } else {
      take_equals(field, bytes);
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

}  // namespace heapscan
