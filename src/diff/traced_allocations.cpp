#include "heapscan/diff/traced_allocations.h"

#include <algorithm>
#include <tuple>

namespace heapscan {

namespace {

// realloc(NULL) of glibc is a jump to malloc: both return, to one place, with one block.
bool is_same_call(const RecordedAllocation& a, const RecordedAllocation& b) {
  return a.address == b.address && a.size == b.size && a.sp == b.sp && a.pc == b.pc &&
         a.function != b.function;
}

}  // namespace

StackId AllocationLog::stack_of(const std::vector<Addr>& calls, bool is_whole) {
  const auto found = by_calls_.find(calls);
  if (found != by_calls_.end()) return found->second;
  if (stacks_.size() >= kMostStacks && calls.size() > static_cast<size_t>(kCallsOfMany))
    return stack_of({calls.begin(), calls.begin() + kCallsOfMany}, false);
  if (stacks_.size() >= 2 * kMostStacks && !calls.empty()) return stack_of({}, false);
  const StackId id = stacks_.push_back({calls, is_whole, {}});
  by_calls_.emplace(calls, id);
  return id;
}

void AllocationLog::add(const RecordedAllocation& allocation) {
  RecordedAllocation& last = last_of_thread_[allocation.tid];
  const bool repeats = is_same_call(last, allocation);
  last = allocation;
  const auto [at, is_new] =
      latest_.try_emplace(allocation.address.value, Latest{allocation.size, allocation.stack});
  if (is_new) return;
  if (!repeats) {
    StateTotal& freed = stacks_[at->second.stack].freed;
    freed.blocks += one_in_;
    freed.bytes += one_in_ * at->second.size;
  }
  at->second = {allocation.size, allocation.stack};
}

void AllocationLog::thin(uint64_t one_in, const std::function<bool(Addr)>& kept) {
  one_in_ = one_in;
  std::erase_if(latest_, [&](const auto& entry) { return !kept(Addr(entry.first)); });
}

std::vector<TracedStack> judge_allocations(const AllocationLog& log, const HeapModel& heap,
                                           const Reachability& reach) {
  Column<StackId, TracedStack> rows;
  for (size_t i = 0; i < log.stacks().size(); ++i) {
    TracedStack row;
    row.stack = StackId(i);
    row.fates[static_cast<size_t>(Verdict::NotJudged)] = log.stacks()[StackId(i)].freed;
    rows.push_back(std::move(row));
  }
  std::vector<std::pair<uint64_t, AllocationLog::Latest>> latest(log.latest().begin(),
                                                                 log.latest().end());
  std::sort(latest.begin(), latest.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [address, recorded] : latest) {
    TracedStack& row = rows[recorded.stack];
    const BlockId id = heap.block_at(Addr(address));
    Verdict verdict = Verdict::NotJudged;
    if (id.valid()) {
      const Block& block = heap.block(id);
      if (block.begin().value == address && block.size() == recorded.size &&
          block.state() == BlockState::Used)
        verdict = reach.verdict(id);
    }
    StateTotal& total = row.fates[static_cast<size_t>(verdict)];
    total.blocks += log.one_in();
    total.bytes += log.one_in() * recorded.size;
    if (verdict != Verdict::Definite && verdict != Verdict::Indirect) continue;
    if (row.examples.size() < TracedStack::kExamples) row.examples.push_back(id);
    const auto size = std::lower_bound(row.lost_sizes.begin(), row.lost_sizes.end(),
                                       std::pair<uint64_t, uint64_t>(recorded.size, 0));
    if (size != row.lost_sizes.end() && size->first == recorded.size) {
      size->second += log.one_in();
    } else {
      row.lost_sizes.insert(size, {recorded.size, log.one_in()});
    }
  }
  std::vector<TracedStack> sorted(rows.begin(), rows.end());
  const auto weight = [](const TracedStack& row) {
    return std::tuple(row.lost().bytes, row.of(Verdict::Possible).bytes,
                      row.of(Verdict::Reachable).bytes, row.of(Verdict::NotJudged).bytes);
  };
  std::stable_sort(sorted.begin(), sorted.end(), [&](const TracedStack& a, const TracedStack& b) {
    return weight(a) > weight(b);
  });
  return sorted;
}

}  // namespace heapscan
