// Makes the rows of block maps.
#pragma once

#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/identify/field_meaning.h"
#include "heapscan/identify/words.h"
#include "heapscan/report/block_map.h"

namespace heapscan {

// Refers to the analysis and the addresses, which must outlive it.
class BlockMapper {
 public:
  BlockMapper(const Analysis& analysis, const AddressMap& addresses, bool content,
              double captured_at)
      : analysis_(analysis), addresses_(addresses), content_(content), captured_at_(captured_at) {}

  // `profile`: of blocks alike, with which the block is compared; null: with none.
  [[nodiscard]] BlockMap map(BlockId block, TypeId type, const Profile* profile) const;

 private:
  // The block whose rows are being made.
  struct Subject {
    const Block& block;
    TypeId type;
    const Profile* profile;
  };
  void add_rows(const Subject& subject, std::vector<FieldMeaning> fields, BlockMap& map) const;
  void add_gap(const Subject& subject, uint64_t end, BlockMap& map) const;
  void doubt_time(const Profile* profile, FieldMeaning& field) const;
  [[nodiscard]] MapRow describe_row(const Subject& subject, const FieldMeaning& field) const;
  void describe_member(const Subject& subject, const FieldMeaning& field, MapRow& row) const;

  const Analysis& analysis_;
  const AddressMap& addresses_;
  const bool content_;
  const double captured_at_;
};

}  // namespace heapscan
