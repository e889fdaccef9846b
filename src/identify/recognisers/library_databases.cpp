// What clients of databases hold: results of PostgreSQL, statements of SQLite.
//
// Sources: PostgreSQL src/interfaces/libpq/libpq-int.h (pg_result), 9.6 to 18; SQLite sqlite3.h
// (sqlite3_vfs, which is public and does not change), src/sqliteInt.h (sqlite3) and src/vdbeInt.h
// (Vdbe), 3.34 to 3.46. SQLite keeps the size of what it allocates in front of it, where the C
// library is not asked for it.
#include <algorithm>
#include <string_view>

#include "identify/recognisers/library_structs.h"

namespace heapscan {

namespace {

// {rows, columns, their descriptions, rows' values, room for rows, parameters, theirs, status, the
// command's status as text, …, functions for notices, …, the block values are put in, how much of
// it is used, how much is left, …}.
constexpr uint64_t kResultStatus = 40;
constexpr uint64_t kCommandStatus = 44;
constexpr uint64_t kHooks = 112;

// Values lie one behind the other in blocks of one size.
bool has_value_block(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint64_t kValues = 2048;
  for (uint64_t at = 176; at <= 208; at += 8) {
    if (!fills(kValues, size_of_block_at(inputs, word(sample, at)))) continue;
    if (half(sample, at + 8) != 0 &&
        uint64_t{half(sample, at + 8)} + half(sample, at + 12) == kValues)
      return true;
  }
  return false;
}

bool has_notice_hooks(const FamilyInputs& inputs, const Sample& sample) {
  const uint64_t receiver = word(sample, kHooks);
  const uint64_t processor = word(sample, kHooks + 16);
  return is_code(inputs, receiver) && is_code(inputs, processor);
}

bool is_result(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint32_t kLastStatus = 12;
  // A select list has 1664 (MaxTupleAttributeNumber); other servers may allow more.
  constexpr uint32_t kMostColumns = 1664 * 4;
  constexpr uint64_t kCommandRoom = 64;
  constexpr uint64_t kDescription = 32;
  const uint64_t rows = half(sample, 0);
  const uint64_t columns = half(sample, 4);
  const uint64_t room = half(sample, 24);
  const uint64_t values = word(sample, 16);
  const std::string_view command = string_at(sample.bytes, kCommandStatus);
  const bool is_text =
      std::all_of(command.begin(), command.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (rows > room || columns > kMostColumns || half(sample, kResultStatus) > kLastStatus ||
      command.size() >= kCommandRoom || !is_text || half(sample, 108) > 1)
    return false;
  if (values == 0 ? room != 0 : !fills(8 * room, size_of_block_at(inputs, values))) return false;
  if (columns != 0 && room_at(inputs, word(sample, 8)) < kDescription * columns) return false;
  return has_value_block(inputs, sample) || (has_notice_hooks(inputs, sample) && !command.empty());
}

// {version, size of a file, longest path, next, name, data, functions: open, delete, access, …}.
bool is_file_system(const FamilyInputs& inputs, uint64_t address) {
  const Addr at(address);
  const auto version = inputs.image.read<uint32_t>(at);
  const auto path = inputs.image.read<uint32_t>(at + 8);
  const auto name = inputs.image.read<uint64_t>(at + 24);
  if (!version || *version == 0 || *version > 3 || !path || *path < 64 || *path > 1 << 20 ||
      !name || text_at(inputs, *name, 64).empty())
    return false;
  constexpr uint64_t kOpen = 40;
  for (uint64_t function = kOpen; function < kOpen + 32; function += 8) {
    if (!is_code(inputs, inputs.image.read<uint64_t>(at + function).value_or(0))) return false;
  }
  return true;
}

// {file system, first statement, …}.
bool is_sqlite(const FamilyInputs& inputs, uint64_t address) {
  constexpr uint64_t kSmallest = 400;
  const auto files = inputs.image.read<uint64_t>(Addr(address));
  return room_at(inputs, address) >= kSmallest && files && is_file_system(inputs, *files);
}

// {database, the one before or where that one's `next` is, next, …}: they name each other.
bool is_statement_at(const FamilyInputs& inputs, const Sample& sample, uint64_t at) {
  constexpr uint64_t kBefore = 8;
  constexpr uint64_t kNext = 16;
  const Addr self = sample.begin + at;
  const uint64_t database = word(sample, at);
  if (!is_sqlite(inputs, database)) return false;
  const Addr before(word(sample, at + kBefore));
  const Addr next(word(sample, at + kNext));
  const bool is_first = inputs.image.read_addr(Addr(database) + 8) == self;
  const bool is_after = !before.is_null() && (inputs.image.read_addr(before) == self ||
                                              inputs.image.read_addr(before + kNext) == self);
  if (!is_after && !(before.is_null() && is_first)) return false;
  if (next.is_null()) return true;
  const auto back = inputs.image.read_addr(next + kBefore);
  return inputs.image.read<uint64_t>(next) == database && (back == self || back == self + kNext);
}

bool is_statement(const FamilyInputs& inputs, const Sample& sample) {
  return is_statement_at(inputs, sample, 8) || is_statement_at(inputs, sample, 0);
}

constexpr KnownStruct kDatabaseStructs[] = {
    {"PGresult", "libpq's: rows within their room, and values in a block of 2,048 bytes", 200, 256,
     is_result},
    {"sqlite3_stmt", "it is in its database's list of statements", 224, 480, is_statement},
};

}  // namespace

std::span<const KnownStruct> database_structs() { return kDatabaseStructs; }

}  // namespace heapscan
