// A fake program whose blocks already have their verdicts and clusters: what describe() is tested
// with.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/report/report.h"
#include "support/fake_program.h"

namespace heapscan {

class JudgedProgram {
 public:
  // Blocks made from now on are of the cluster with this label; with an empty one, of the cluster
  // of their size, which has none.
  void label(std::string text) { label_ = std::move(text); }
  // A block of `size` (rounded up as by glibc) that begins with `content`.
  Addr reachable(uint64_t size, std::string_view content = {});
  Addr definite(uint64_t size, std::string_view content = {});
  Addr indirect(uint64_t size, Addr head);
  Addr possible(uint64_t size, Reason reason = Reason::Interior);
  Addr free_block(uint64_t size) { return program_.block(size, BlockState::Binned); }
  Addr mapping(uint64_t size, Verdict verdict);

  FakeProgram& program() { return program_; }
  // May be called once.
  [[nodiscard]] Analysis judge();

 private:
  struct Judgement {
    Addr block;
    Verdict verdict;
    Addr head;
    Reason reason = Reason::Interior;
    std::string label = {};
  };
  void cluster(Analysis& analysis) const;
  Addr add(Addr block, Verdict verdict, std::string_view content);
  static void enter(const Judgement& judgement, const HeapModel& heap, Reachability& reach);
  FakeProgram program_;
  std::vector<Judgement> judgements_;
  std::string label_;
};

// The id of the cluster of that label, or of blocks of that size without a label.
[[nodiscard]] std::string id_of_label(std::string_view label);
[[nodiscard]] std::string id_of_size(uint64_t size);

// Of pid 4711, called "fake", stopped for 38 ms.
[[nodiscard]] CaptureFacts live_facts();

}  // namespace heapscan
