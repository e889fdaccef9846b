#include "cli/questions.h"
#include "heapscan/report/report.h"

namespace heapscan {

namespace {

struct ClusterWords {
  std::string id;
  bool all = false;
};

Answer answer_cluster(const ClusterWords& words, const Asked& asked) {
  ReportOptions options = asked.options.report;
  options.command = asked.report_command();
  options.kinds =
      VerdictSet{Verdict::Definite, Verdict::Indirect, Verdict::Possible, Verdict::Reachable};
  options.cluster = choose_cluster(asked.look.analysis, words.id);
  if (words.all) options.blocks = BlockList::All;
  return asked.stage(
      "report", [&] { return describe(asked.look.captured.facts, asked.look.analysis, options); });
}

void add_cluster_words(CLI::App& command, ClusterWords& words) {
  add_text(command, "id", "ID", "A group's id, or how it begins",
           [&words](const std::string& text) { words.id = cluster_id_from(text); })
      ->required();
  command.add_flag("--all", words.all, "List every block of the group");
}

}  // namespace

Question question_cluster() {
  return {"cluster",
          "Inspect one group in detail\n"
          "Shows what is known of the blocks of a group, leaked or not, and what every word of a "
          "typical one means.",
          {
              {"heapscan cluster 4711 3f2a90c1", "What is in such a block?"},
              {"heapscan cluster 4711 3f2a90c1 --all", "And where are they all?"},
          },
          HoldingWanted::Never,
          question_words<ClusterWords>(add_cluster_words, any_words_will_do, answer_cluster)};
}

}  // namespace heapscan
