#include "identify/typing/relatives.h"

#include <gtest/gtest.h>

#include "heapscan/symbols/types.h"

namespace heapscan {
namespace {

class TypingNodes : public testing::Test {
 protected:
  TypeId record(const std::string& name) {
    return builder_.add({.kind = TypeKind::Struct, .size = 8, .name = name});
  }
  TypesBuilder builder_;
};

TEST_F(TypingNodes, ContainersNameTheirElements) {
  const TypeId tree_node = record("std::_Rb_tree_node<std::pair<const int, Foo<3, 4> > >");
  const TypeId tree = record(
      "std::_Rb_tree<int, std::pair<const int, Foo<3, 4> >, "
      "std::_Select1st<std::pair<const int, Foo<3, 4> > >, std::less<int>, std::allocator<int> >");
  const TypeId list_node = record("std::_List_node<Event>");
  const TypeId list = record("std::__cxx11::_List_base<Event, std::allocator<Event> >");
  const TypeId hash_node = record("std::__detail::_Hash_node<std::pair<const int, Bar>, false>");
  const TypeId table = record(
      "std::_Hashtable<int, std::pair<const int, Bar>, std::allocator<int>, "
      "std::__detail::_Select1st>");
  const Types types = builder_.freeze();
  EXPECT_EQ(node_type(types, tree), tree_node);
  EXPECT_EQ(node_type(types, tree_node), tree_node);
  EXPECT_EQ(node_type(types, list), list_node);
  EXPECT_EQ(node_type(types, table), hash_node);
}

TEST_F(TypingNodes, WhatIsNoContainerHasNoNodes) {
  const TypeId other = record("std::_Rb_tree_header");
  const TypeId unknown = record("std::__cxx11::_List_base<Nowhere, std::allocator<Nowhere> >");
  const TypeId cut = record("std::_Rb_tree<int, std::pair<");
  const Types types = builder_.freeze();
  EXPECT_FALSE(node_type(types, other).valid());
  EXPECT_FALSE(node_type(types, unknown).valid());
  EXPECT_FALSE(node_type(types, cut).valid());
  EXPECT_FALSE(knows_its_nodes("list<Event>"));
}

TEST_F(TypingNodes, BuffersSayWhatTheyAreFor) {
  EXPECT_EQ(buffered_element("__gnu_cxx::__aligned_membuf<Foo>").name, "Foo");
  const BufferedElement pointer = buffered_element("__gnu_cxx::__aligned_membuf<Foo const* const>");
  EXPECT_EQ(pointer.name, "Foo");
  EXPECT_EQ(pointer.pointers, 1);
  EXPECT_EQ(buffered_element("__gnu_cxx::__aligned_buffer<std::pair<int, Foo*> >").name,
            "std::pair<int, Foo*>");
  EXPECT_TRUE(buffered_element("Foo").name.empty());
  EXPECT_TRUE(buffered_element("__gnu_cxx::__aligned_membuf<").name.empty());
}

TEST_F(TypingNodes, InnerTypesOfTheLibraryAreNeverAllocated) {
  EXPECT_TRUE(is_standard_part("std::_Vector_base<int, std::allocator<int> >"));
  EXPECT_TRUE(is_standard_part("std::_Deque_iterator<int, int&, int*>"));
  EXPECT_TRUE(is_standard_part("__gnu_cxx::__aligned_membuf<Foo>"));
  EXPECT_TRUE(is_standard_part("std::__cxx11::basic_string<char>::_Alloc_hider"));
  EXPECT_TRUE(is_standard_part("std::pair<std::_Rb_tree_node_base*, std::_Rb_tree_node_base*>"));
  EXPECT_FALSE(is_standard_part("std::_Rb_tree_node<int>"));
  EXPECT_FALSE(is_standard_part("std::vector<int, std::allocator<int> >"));
  EXPECT_FALSE(is_standard_part("std::__cxx11::basic_string<char>"));
  EXPECT_FALSE(is_standard_part("session"));
}

}  // namespace
}  // namespace heapscan
