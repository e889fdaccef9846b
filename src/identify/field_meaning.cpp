// A word is classed by AddressMap; then what it points at is asked for its name: a vtable for its
// class, an address in a module for its symbol, read-only data for the string it may begin, a block
// for the cluster it is in. Neighbouring words that mean one thing (a string, a stretch of zeros)
// become one field.
#include "heapscan/identify/field_meaning.h"

#include <algorithm>
#include <array>

#include "heapscan/base/bytes.h"
#include "identify/known_values.h"
#include "identify/recognisers/block_types.h"
#include "identify/recognisers/recognisers.h"

namespace heapscan {

namespace {

constexpr size_t kShortestConstant = 2;  // characters; a single one is in every table of bytes

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
    field.block = context.addresses.block_meant_by(word);
    field.cluster = context.clusters.of(field.block);
    field.into = Addr(word) - context.heap.block(field.block).begin();
  } else if (kind == WordKind::FreeBlock) {
    field.block = context.addresses.block_meant_by(word);
  } else if (kind == WordKind::Stack) {
    field.tid = context.addresses.thread_of(Addr(word));
  }
  return field;
}

bool is_number(Meaning meaning) {
  return meaning == Meaning::Integer || meaning == Meaning::Pair || meaning == Meaning::Float ||
         meaning == Meaning::Time || meaning == Meaning::Value;
}

bool is_small(uint32_t half) { return half < 1U << 16 || half >= ~uint32_t{0} - 0xffff; }

// A socket address at `at`, or behind a small number of four bytes there. What shares its last word
// is said as well.
bool take_socket_address(FieldMeaning& field, Bytes bytes, uint64_t at) {
  const auto low = static_cast<uint32_t>(field.value);
  uint64_t begin = at;
  auto found = socket_address_at(bytes.subspan(begin));
  if (!found && is_small(low)) {
    begin += 4;
    found = socket_address_at(bytes.subspan(begin));
  }
  if (!found) return false;
  const uint64_t end = begin + found->length;
  const uint64_t length = Addr(end - at).align_up(8).value;
  if (at + length > bytes.size()) return false;
  field.meaning = Meaning::SocketAddress;
  field.length = length;

  if (begin != at) field.text = std::to_string(static_cast<int32_t>(low)) + ", ";
  field.text += found->text;
  const bool shares = end % 8 == 4 && !found->text.starts_with("unix:");
  const auto rest = shares ? load<int32_t>(bytes.data() + end) : 0;
  if (rest != 0) field.text += ", " + std::to_string(rest);
  return true;
}

// A string from `at` to its NUL, which may be the end of the bytes; `step` bytes a character.
void take_text(FieldMeaning& field, Bytes bytes, uint64_t at, size_t step) {
  const uint64_t begin = at;
  while (at + step <= bytes.size() && is_printable(static_cast<unsigned char>(bytes[at])) &&
         std::all_of(bytes.begin() + static_cast<ptrdiff_t>(at + 1),
                     bytes.begin() + static_cast<ptrdiff_t>(at + step),
                     [](std::byte byte) { return byte == std::byte{0}; })) {
    if (field.text.size() <= FieldMeaning::kMostText) field.text += static_cast<char>(bytes[at]);
    at += step;
  }
  field.length = std::max<uint64_t>(8, Addr(at - begin).align_up(8).value);
  cut_text(field);
}

// How far words equal to the field's go on.
void take_equals(FieldMeaning& field, Bytes bytes, uint64_t at) {
  while (read_at<uint64_t>(bytes, at + field.length) == field.value) field.length += 8;
}

}  // namespace

const char* name_of(Meaning meaning) {
  static constexpr std::array<const char*, 18> kNames = {
      "zero",     "small integer", "pair of integers", "text",  "wide text",
      "number",   "time",          "socket address",   "value", "vtable",
      "function", "data",          "constant text",    "block", "free block",
      "stack",    "other memory",  "unmapped memory"};
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
    case Meaning::SocketAddress:
    case Meaning::Value:
    case Meaning::ConstantText:
      return true;
    default:
      return false;
  }
}

std::vector<FieldMeaning> field_meanings(const FieldContext& context, BlockId block, uint64_t limit,
                                         uint64_t from) {
  std::vector<FieldMeaning> fields;
  const Block& row = context.heap.block(block);
  const uint64_t end = std::min(row.size(), limit);
  if (from >= end) return fields;
  std::vector<std::byte> copy;
  auto view = context.image.view(AddrRange::sized(row.begin() + from, end - from));
  if (!view) {  // it may lie across regions, or in pages that were never touched
    copy.resize(end - from);
    if (!context.image.read_bytes(row.begin() + from, copy)) return fields;
    view = Bytes(copy);
  }
  const Bytes bytes = *view;
  const UnmappedPlaces unmapped(context.image);
  for (uint64_t at = 0; at + 8 <= bytes.size(); at += fields.back().length) {
    FieldMeaning field = meaning_of_word(context, from + at, load<uint64_t>(bytes.data() + at));
    if (field.meaning == Meaning::Value && unmapped.has(field.value))
      field.meaning = Meaning::Unmapped;
    if (is_number(field.meaning) && take_socket_address(field, bytes, at)) {
      fields.push_back(std::move(field));
      continue;
    }
    if (field.meaning == Meaning::Text) {
      take_text(field, bytes, at, 1);
    } else if (field.meaning == Meaning::WideText) {
      take_text(field, bytes, at, 2);
    } else if (field.meaning == Meaning::Pair && wide_text_length(bytes.subspan(at), 4) > 0) {
      field.meaning = Meaning::WideText;
      take_text(field, bytes, at, 4);
    } else {
      take_equals(field, bytes, at);
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

// Later libraries are mapped below earlier ones, so what was unloaded may have been the lowest.
UnmappedPlaces::UnmappedPlaces(const MemoryImage& image) : image_(image) {
  constexpr uint64_t kBelow = 256 << 20;  // bytes; more than all but the largest libraries take
  uint64_t begin = ~uint64_t{0};
  uint64_t end = 0;
  for (const Module& module : image.modules()) {
    const Region* const region = image.region_at(module.range.begin());
    const bool is_kernels = region != nullptr && region->backing == Backing::Special;
    if (module.is_executable || is_kernels) continue;
    begin = std::min(begin, module.range.begin().value);
    end = std::max(end, module.range.end().value);
  }
  if (begin < end) libraries_ = {Addr(begin - std::min(begin, kBelow)), Addr(end)};
}

bool UnmappedPlaces::has(uint64_t word) const {
  const Addr address(word);
  return libraries_.contains(address) && image_.region_at(address) == nullptr &&
         image_.module_at(address) == nullptr;
}

}  // namespace heapscan
