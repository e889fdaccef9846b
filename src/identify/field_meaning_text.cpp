// Fields into words.
#include <fmt/format.h>

#include <bit>

#include "heapscan/base/text.h"
#include "heapscan/identify/field_meaning.h"
#include "identify/known_values.h"

namespace heapscan {

namespace {

// The civil date of a number of days since 1970-01-01, in the proleptic Gregorian calendar: years
// are counted from March so that leap days come last, in eras of 400 years.
std::string date_of(uint64_t days) {
  const uint64_t shifted = days + 719'468;  // since 0000-03-01
  const uint64_t era = shifted / 146'097;
  const uint64_t day_of_era = shifted % 146'097;
  const uint64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const uint64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const uint64_t month_from_march = (5 * day_of_year + 2) / 153;
  const uint64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
  const uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  const uint64_t year = era * 400 + year_of_era + (month <= 2 ? 1 : 0);
  return fmt::format("{:04}-{:02}-{:02}", year, month, day);
}

std::string time_of(uint64_t value) {
  const uint64_t seconds = seconds_of_time(value);
  if (seconds < kFirstSecond) return std::to_string(value);
  const uint64_t of_day = seconds % 86'400;
  return fmt::format("{} {:02}:{:02}:{:02} UTC", date_of(seconds / 86'400), of_day / 3600,
                     of_day / 60 % 60, of_day % 60);
}

// As the program would count: -1 of 32 bits and of 64.
std::string integer_of(uint64_t value) {
  if (value >> 32 == 0) {
    const auto half = static_cast<int32_t>(static_cast<uint32_t>(value));
    return std::to_string(half);
  }
  return std::to_string(static_cast<int64_t>(value));
}

std::string pair_of(uint64_t value) {
  const auto half = [&](int shift) { return static_cast<int32_t>(value >> shift & 0xffffffff); };
  return fmt::format("{}, {}", half(0), half(32));
}

std::string quoted(const FieldMeaning& field) {
  return fmt::format("\"{}{}\"", field.text, field.text_goes_on ? "..." : "");
}

std::string plus(uint64_t offset) { return offset == 0 ? "" : fmt::format("+{:#x}", offset); }

std::string place_in_module(const FieldMeaning& field, const MemoryImage& image) {
  const std::string module =
      field.module.valid() ? std::string(image.modules()[field.module].file_name()) : "a module";
  const char* const part = field.meaning == Meaning::Function ? "code" : "data";
  if (field.symbol.empty()) return fmt::format("-> {}{} ({})", module, plus(field.into), part);
  return fmt::format("-> {}{} ({} of {})", field.symbol, plus(field.into), part, module);
}

std::string block_in_cluster(const FieldMeaning& field, const Identities& identities) {
  std::string text = "-> ";
  if (!field.cluster.valid()) {
    text += "a block";
  } else {
    text += fmt::format("#{}", field.cluster.index() + 1);
    const bool known = field.cluster.index() < identities.rows.size();
    if (known && !identities.rows[field.cluster].label.empty())
      text += " " + identities.rows[field.cluster].label;
  }
  return text + plus(field.into);
}

std::string value_of(const FieldMeaning& field) {
  switch (field.meaning) {
    case Meaning::Integer:
      return integer_of(field.value);
    case Meaning::Pair:
      return pair_of(field.value);
    case Meaning::Float:
      return fmt::format("{}", std::bit_cast<double>(field.value));
    case Meaning::Time:
      return time_of(field.value);
    case Meaning::Text:
    case Meaning::WideText:
      return quoted(field);
    case Meaning::SocketAddress:
      return field.text;
    case Meaning::ConstantText:
      return "-> " + quoted(field);
    default:
      return hex(field.value);
  }
}

}  // namespace

uint64_t seconds_of_time(uint64_t value) {
  uint64_t unit = 1;
  while (value / unit > kLastSecond) unit *= 1000;
  return value / unit;
}

std::string spelled(const FieldMeaning& field, const MemoryImage& image,
                    const Identities& identities, bool content) {
  if (field.shows_content()) return content ? value_of(field) : name_of(field.meaning);
  switch (field.meaning) {
    case Meaning::Vtable:
      return "-> vtable for " + field.symbol;
    case Meaning::Function:
    case Meaning::Object:
      return place_in_module(field, image);
    case Meaning::Block:
      return block_in_cluster(field, identities);
    case Meaning::Stack:
      return field.tid == 0 ? "-> a stack" : fmt::format("-> stack of thread {}", field.tid);
    case Meaning::FreeBlock:
      return "-> a free block";
    case Meaning::Mapped:
      return "-> other memory";
    case Meaning::Unmapped:
      return "-> memory no longer mapped";
    default:
      return "0";
  }
}

}  // namespace heapscan
