// The words for verdicts and reasons.
#include "heapscan/reach/reachability.h"

namespace heapscan {

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::NotJudged:
      return "not judged";
    case Verdict::Reachable:
      return "reachable";
    case Verdict::Possible:
      return "possible";
    case Verdict::Indirect:
      return "indirect";
    case Verdict::Definite:
      return "definite";
  }
  return "unknown";
}

const char* name_of(Reason reason) {
  switch (reason) {
    case Reason::Interior:
      return "referenced only by an interior pointer";
    case Reason::WeakRoot:
      return "referenced only from memory of unknown use";
    case Reason::Unaligned:
      return "referenced only by an unaligned word";
    case Reason::Tagged:
      return "referenced only by a pointer with tags in its top bits";
    case Reason::MayBeSignalStack:
      return "never written and the size of a signal stack: the kernel may hold it";
    case Reason::InTransit:
      return "in transit: a thread was inside malloc or free";
    case Reason::NamedAsSignalStack:
      return "a signal frame gives it as the signal stack: the kernel may hold it";
    case Reason::HeldByKernel:
      return "referenced only from the kernel: a word in a pipe, a socket or an io_uring";
    case Reason::KernelMayHold:
      return "no pointer to it found, but the kernel may hold one where nobody can see it";
    case Reason::BesideReserved:
      return "adjoins reserved memory that is in use, and may be a part of it";
    case Reason::MissingMemory:
      return "no pointer to it found, but part of the memory could not be searched";
    case Reason::StaleWord:
      return "referenced only by words that are no longer in use";
    case Reason::ViaPossible:
      return "referenced only by blocks that are possibly leaked themselves";
  }
  return "unknown";
}

}  // namespace heapscan
