// What following a function came to, as bytes that outlive the process it was followed in: the questions
// that were asked, their answers, and the result in the function's own addresses.
#pragma once

#include <optional>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"
#include "sites/data_flow.h"
#include "sites/flow_questions.h"

namespace heapscan {

// What was found in the function's own addresses, in those of the process.
[[nodiscard]] FunctionFlow in_process(FunctionFlow flow, const FlowQuestions& questions);

// Of a function that was just followed with `questions`. Empty when it is not worth keeping: very large.
[[nodiscard]] std::vector<std::byte> record_flow(const FlowQuestions& questions,
                                                 const FunctionFlow& own);

// What follow_function() would return now, in addresses of the process; nullopt when an answer is another
// one now, or the record is damaged. `questions` are those of `function` (in the process), not asked yet.
[[nodiscard]] std::optional<FunctionFlow> recall_flow(Bytes record, AddrRange function,
                                                      FlowQuestions& questions);

}  // namespace heapscan
