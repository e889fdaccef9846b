#include "heapscan/report/answer.h"

#include <ostream>

#include "report/report_parts.h"
#include "report/text_parts.h"

namespace heapscan {

AnswerFrame make_frame(const CaptureFacts& target, const Analysis& analysis,
                       const AnswerOptions& options) {
  AnswerFrame frame;
  frame.target = escaped_facts(target);
  frame.threads = analysis.image.threads().size();
  frame.notes = escaped_notes(analysis.notes(), analysis.image, options.content);
  frame.command = options.command;
  frame.verbose = options.verbose;
  frame.in_session = options.in_session;
  return frame;
}

void write_head(const AnswerFrame& frame, const Style& style, std::ostream& out) {
  if (!frame.in_session) out << style.bold(headline(frame.target, frame.threads)) << '\n';
}

void write_foot(const AnswerFrame& frame, std::ostream& out) {
  if (!frame.in_session || frame.verbose)
    write_notes(frame.notes, frame.verbose, frame.command, out);
  write_timing(frame.timing, out);
}

void write_document(const char* schema, const AnswerFrame& frame, const Json& body,
                    std::ostream& out) {
  Json document = {{"schema", schema}, {"target", json_of_target(frame.target, frame.threads)}};
  document.update(body);
  document["notes"] = json_of(frame.notes);
  document["timing"] = json_of_timing(frame.timing);
  out << document.dump(2, ' ', true, Json::error_handler_t::replace) << '\n';
}

}  // namespace heapscan
