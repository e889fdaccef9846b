// What every heap model must satisfy, whatever was in memory; and short ways to ask for a block.
#pragma once

#include <gmock/gmock.h>

#include <string>

#include "heap/glibc/layouts.h"
#include "heapscan/base/text.h"
#include "heapscan/heap/heap_model.h"

namespace heapscan {

inline std::string state_at(const HeapModel& heap, Addr mem) {
  const BlockId id = heap.block_at(mem);
  if (!id.valid()) return "no block";
  const Block& block = heap.block(id);
  if (block.begin() != mem) return "inside " + hex(block.begin());
  return name_of(block.state());
}

inline std::string notes_of(const HeapModel& heap, NoteKind kind = NoteKind::HeapDamage) {
  std::string all;
  for (const Note& note : heap.notes) {
    if (note.kind == kind) all += note.where + ": " + note.text + "\n";
  }
  return all;
}

// Sorted and disjoint; the index finds each block; damage and blocks do not overlap; arena ids
// exist.
inline void expect_consistent(const HeapModel& heap) {
  Addr end;
  for (size_t i = 0; i < heap.blocks.size(); ++i) {
    const Block& block = heap.blocks[i];
    ASSERT_GE(block.begin(), end) << "block " << i;
    end = block.range().end();
    if (block.size() == 0) continue;
    ASSERT_EQ(heap.block_at(block.begin()), BlockId(i));
    ASSERT_EQ(heap.block_at(end - 1), BlockId(i));
    if (block.arena().valid()) {
      ASSERT_LT(block.arena().index(), heap.arenas.size());
    }
  }
  Addr last;
  for (const HeapRange& range : heap.ranges) {
    EXPECT_GE(range.range.begin(), last);
    last = range.range.end();
  }
  for (const AddrRange& range : heap.damaged) {
    EXPECT_FALSE(range.empty());
    EXPECT_FALSE(heap.block_at(range.begin()).valid()) << hex(range.begin());
    EXPECT_FALSE(heap.block_at(range.end() - 1).valid()) << hex(range.end());
  }
}

// The sums, counted again from the table alone: each block has 8 bytes of size before it, top and
// the headers that close a heap 8 more behind them, and each stretch begins with 8 bytes of
// nobody's.
inline void expect_every_byte_accounted_for(const HeapModel& heap) {
  for (const HeapRange& range : heap.ranges) {
    if (!range.arena.valid()) continue;
    uint64_t bytes = 0;
    for (const Block& block : heap.blocks) {
      if (!range.range.contains(block.begin())) continue;
      const bool closes =
          block.state() == BlockState::Top || block.range().end() == range.range.end();
      bytes += block.size() + (closes ? 16 : 8);
    }
    for (const AddrRange& damaged : heap.damaged) bytes += damaged.intersect(range.range).size();
    EXPECT_EQ(bytes, range.range.size()) << hex(range.range.begin());
  }
}

inline void expect_checks_pass(const HeapModel& heap) {
  for (const Check& check : heap.checks)
    EXPECT_TRUE(check.ok) << check.name << ": " << check.detail;
}

inline const Check& check_named(const HeapModel& heap, const std::string& name) {
  for (const Check& check : heap.checks) {
    if (check.name == name) return check;
  }
  static const Check missing{"", false, "no such check"};
  return missing;
}

// 2.35-2.41: what most processes have.
inline const glibc::Family& usual() { return glibc::families()[7]; }

}  // namespace heapscan
