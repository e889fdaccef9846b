// What the header of call sites promises, whatever they were read from.
#pragma once

#include <algorithm>

#include "heapscan/base/error.h"
#include "heapscan/sites/call_sites.h"

namespace heapscan {

inline void check_call_sites(const CallSites& sites) {
  for (size_t i = 0; i < sites.rows.size(); ++i) {
    const CallSite& site = sites.rows[CallSiteId(i)];
    HS_CHECK(i == 0 || sites.rows[CallSiteId(i - 1)].call < site.call);
    HS_CHECK(site.call < site.after);
    HS_CHECK(site.allocator < sites.allocators.size());
    const bool is_constant = site.bytes.kind == RequestedBytes::Kind::Constant;
    HS_CHECK(is_constant == !site.bytes.constants.empty());
    HS_CHECK(site.bytes.constants.size() <= RequestedBytes::kMostConstants);
    HS_CHECK(std::is_sorted(site.bytes.constants.begin(), site.bytes.constants.end()));
    HS_CHECK(site.bytes.step != 0);
    HS_CHECK(std::is_sorted(
        site.fields.begin(), site.fields.end(),
        [](const StoredField& a, const StoredField& b) { return a.offset < b.offset; }));
  }
  for (const SiteLink& link : sites.links) {
    HS_CHECK(link.child.index() < sites.rows.size());
    HS_CHECK(!link.parent.valid() || link.parent.index() < sites.rows.size());
  }
}

}  // namespace heapscan
