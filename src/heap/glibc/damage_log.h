// Notes about damage, bounded: a ruined heap has millions of wrong words, and the first few tell
// the story.
#pragma once

#include <string>

#include "heapscan/base/addr.h"
#include "heapscan/base/note.h"
#include "heapscan/base/text.h"

namespace heapscan::glibc {

class DamageLog {
 public:
  static constexpr size_t kKept = 20;

  // `text` begins with glibc's own message where there is one.
  void add(Addr where, std::string text) {
    if (notes_.size() < kKept)
      notes_.push_back({NoteKind::HeapDamage, hex(where), std::move(text)});
    ++count_;
  }
  [[nodiscard]] bool is_full() const { return notes_.size() >= kKept; }
  void count_only() { ++count_; }
  [[nodiscard]] uint64_t count() const { return count_; }

  void append(const DamageLog& other) {
    for (const Note& note : other.notes_) {
      if (notes_.size() < kKept) notes_.push_back(note);
    }
    count_ += other.count_;
  }
  void move_into(Notes& notes) const {
    notes.insert(notes.end(), notes_.begin(), notes_.end());
    if (count_ > notes_.size()) {
      notes.push_back({NoteKind::HeapDamage, "",
                       "and " + grouped(count_ - notes_.size()) +
                           " more places where the heap contradicts itself"});
    }
  }

 private:
  Notes notes_;
  uint64_t count_ = 0;
};

}  // namespace heapscan::glibc
