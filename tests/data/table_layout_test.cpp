// Which lines and columns of a table are taken, and what is said of it.

#include "data/table_layout.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <string>

#include "data/column_names.h"
#include "data/readers.h"
#include "tests/files.h"

namespace derrd::test::table_layout_test {
namespace {

class Layout : public testing::Test {
 protected:
  Layout() {
    options_.remark = [this](std::string_view remark) { remarks_ += std::string(remark) + "\n"; };
  }

  /// The interactions as "user:item", with a blank between two.
  std::string pairs(std::string_view text) {
    remarks_.clear();
    const Interactions read = parse_interactions(text, "f", options_);
    std::string result;
    for (int64_t k = 0; k < read.size(); ++k) {
      result += (k > 0 ? " " : "") + read.user_ids.text(read.users[k]) + ":" +
                read.item_ids.text(read.items[k]);
    }
    return result;
  }

  void refused(std::string_view text, std::string_view part) {
    expect_error([&] { pairs(text); }, part);
  }

  ReadOptions options_;
  std::string remarks_;
};

TEST_F(Layout, ColumnsAreFoundByTheirNames) {
  EXPECT_EQ(pairs("item_id,user_id,rating\ni1,u1,4\ni2,u1,5\n"), "u1:i1 u1:i2");
  EXPECT_EQ(remarks_,
            "f: separator comma, header on line 1; user: column 2 `user_id`, item: column 1 "
            "`item_id`\n");
  EXPECT_EQ(pairs("asin,reviewerID,overall,unixReviewTime\nB1,A1,5,1\nB2,A1,4,2\n"), "A1:B1 A1:B2");
  EXPECT_EQ(pairs("t_dat,customer_id,article_id\n2020-09-01,c,7\n2020-09-02,c,8\n"), "c:7 c:8");
  EXPECT_EQ(pairs("timestamp,visitorid,event,itemid\n1,v,view,7\n2,w,view,8\n"), "v:7 w:8");
  EXPECT_EQ(pairs("\"Book-Rating\";\"ISBN\";\"User-ID\"\n\"5\";\"034X\";\"27\"\n"), "27:034X");
  EXPECT_EQ(pairs("item_id:token,user_id:token\ni,u\n"), "u:i");
  EXPECT_EQ(pairs("item user\n1 2\n2 2\n"), "2:1 2:2");
}

TEST_F(Layout, TheRatingIsFoundByItsName) {
  options_.min_rating = 4;
  EXPECT_EQ(pairs("score,user,item\n3,u,a\n4,u,b\n"), "u:b");
  expect_contains(remarks_, {"rating: column 1 `score`"});
  refused("user,item,stars,score\nu,a,4,4\n", "f:1: the header names more than one rating column");
  options_.rating_column = "stars";
  EXPECT_EQ(pairs("user,item,score,stars\nu,a,3,4\n"), "u:a");
}

TEST_F(Layout, TheTimeIsFoundByItsName) {
  options_.times = true;
  EXPECT_EQ(pairs("timestamp,user,item\n3,u,a\n4,u,b\n"), "u:a u:b");
  EXPECT_EQ(remarks_,
            "f: separator comma, header on line 1; user: column 2 `user`, item: column 3 `item`, "
            "time: column 1 `timestamp`\n");
  refused("user,item,when\nu,a,4\n",
          "f:1: the header names no time column, so that it can't be told; the columns are 1 "
          "\"user\", 2 \"item\", 3 \"when\"; choose one with --time-column");
  refused("user,item,date,time\nu,a,4,4\n", "f:1: the header names more than one time column");
  options_.time_column = "when";
  EXPECT_EQ(pairs("user,item,when\nu,a,4\n"), "u:a");
  options_.time_column = "3";
  EXPECT_EQ(pairs("user,item,when\nu,a,4\n"), "u:a");
  options_.time_column = "item";
  refused("user,item,when\nu,a,4\n",
          "f:1: column 2 would be both item and time; choose two with --item-column and "
          "--time-column");
  options_.time_column = "1";
  refused("user,item,when\nu,a,4\n", "column 1 would be both user and time");
}

TEST_F(Layout, WithoutAHeaderTheTimeIsColumn4InTheUsualOrder) {
  options_.times = true;
  EXPECT_EQ(pairs("1,2,5,99\n1,3,4,98\n"), "1:2 1:3");
  expect_contains(remarks_, {"user: column 1, item: column 2, time: column 4; first row"});
  refused("1,2,99\n1,3,98\n",
          "f:1: there is no header, and only columns user, item, rating, time in this order can be "
          "told without; the first row is \"1\", \"2\", \"99\"; choose one with --time-column");
  refused("u1,a,2015-01-01,3\nu1,b,2015-01-02,1\n", "choose one with --time-column");  // ratings
  options_.time_column = "3";
  EXPECT_EQ(pairs("1,2,99\n1,3,98\n"), "1:2 1:3");
  options_.time_column.clear();
  options_.item_column = "5";
  const std::string check_ins = "0\t2010-10-19T23:55:27Z\t30.2\t-97.7\t22847\n";
  refused(check_ins, "choose one with --time-column");
  options_.time_column = "2";
  EXPECT_EQ(pairs(check_ins), "0:22847");
}

TEST_F(Layout, OptionsComeBeforeNames) {
  options_.user_column = "item_id";
  EXPECT_EQ(pairs("item_id,movie_id,user_id\n1,2,3\n"), "1:2");
  options_.user_column = "3";
  options_.item_column = "movie_id";
  EXPECT_EQ(pairs("item_id,movie_id,user_id\n1,2,3\n"), "3:2");
}

TEST_F(Layout, NamesThatDoNotDecideAreRefused) {
  refused(
      "who,item\n1,2\n",
      "f:1: the header names no user column, so that it can't be told; the columns are 1 \"who\", "
      "2 \"item\"; choose one with --user-column, or say --header no");
  refused("user,track_id,artist_id\n1,2,3\n", "names more than one item column");
  refused("what,when\n1,2\n", "names no user column");
  options_.header = Header::kYes;
  refused("1,2\n3,4\n", "names no user column");
  options_.header = Header::kNo;
  EXPECT_EQ(pairs("user,item\n3,4\n"), "user:item 3:4");
}

TEST_F(Layout, ARepeatedHeaderIsNoRow) {
  refused("user,item\n1,2\nuser,item\n1,3\n", "f:3: repeats the header; remove it");
  options_.on_bad_line = OnBadLine::kSkip;
  EXPECT_EQ(pairs("user,item\n1,2\nuser,item\n1,3\n"), "1:2 1:3");
}

TEST_F(Layout, OneColumnIsNotBothUserAndItem) {
  options_.user_column = "item";
  options_.item_column = "2";
  refused("user,item\n1,2\n", "f:1: column 2 would be both user and item; choose two");
}

TEST_F(Layout, AHeaderIsToldFromIds) {
  EXPECT_EQ(pairs("reviewerID,asin\nA0,B1\nA0,B2\n"), "A0:B1 A0:B2");
  EXPECT_EQ(pairs("user,book\nann,x\n"), "ann:x");
  refused("who,what,stars\na,b,5\nc,d,4\n", "the header names no user");
  refused("UserID,whatever\na,b\n", "the header names no item");
  for (const std::string text :
       {"a,b\nc,d\n", "a,1\n2,3\n", "1,2\n3,4\n", "ann,book\nbob,song\n"}) {
    EXPECT_EQ(pairs(text).find(':'), text.find(',')) << text;
    expect_contains(remarks_, {"no header; user: column 1, item: column 2", "first row: \""});
  }
}

TEST_F(Layout, DatesAndFractionsAreNoIds) {
  refused(
      "0\t2010-10-19T23:55:27Z\t22847\n0\t2010-10-18T22:17:43Z\t42031\n",
      "f:1: there is no header, and column 2 holds dates or fractions instead of items, such as "
      "\"2010-10-19T23:55:27Z\"; choose one with --item-column");
  refused("2020/09/01,c,7\n2020/09/02,d,8\n", "column 1 holds dates");
  refused("5,-8.79\n3,99\n", "column 2 holds dates or fractions");
  EXPECT_EQ(pairs("5,2010-10-19\n3,x\n"), "5:2010-10-19 3:x");
  EXPECT_EQ(pairs("5,1.0\n3,2.0\n"), "5:1.0 3:2.0");
  options_.item_column = "3";
  EXPECT_EQ(pairs("0\t2010-10-19T23:55:27Z\t22847\n"), "0:22847");
}

TEST_F(Layout, RowNumbersAreSkipped) {
  const std::string remark = "column 1 numbers the rows and is skipped";
  EXPECT_EQ(pairs(",user,item\n0,5,7\n1,5,8\n"), "5:7 5:8");  // pandas
  expect_contains(remarks_, {remark, "user: column 2 `user`"});
  EXPECT_EQ(pairs("Unnamed: 0,user,item\n0,5,7\n1,5,8\n"), "5:7 5:8");
  expect_contains(remarks_, {remark});
  EXPECT_EQ(pairs("\"user\" \"item\"\n\"1\" \"u 5\" \"i\"\n\"2\" \"u 5\" \"j\"\n"),
            "u 5:i u 5:j");  // R
  expect_contains(remarks_, {remark, "user: column 2 `user`, item: column 3 `item`"});
  EXPECT_EQ(pairs("user,item\n5,7,\n5,8,\n"), "5:7 5:8");  // rows that end with a separator
  EXPECT_FALSE(contains(remarks_, remark));
}

TEST_F(Layout, CommentsAndCountsAboveTheTableAreSkipped) {
  EXPECT_EQ(pairs("# a graph\n% 3 edges\n1\t2\n1\t3\n"), "1:2 1:3");
  expect_contains(remarks_, {"skipped 2 lines of comments"});
  EXPECT_EQ(pairs("8\n48\n0\t12\t112\n0\t13\t113\n1\t12\t5\n"), "0:12 0:13 1:12");
  expect_contains(remarks_, {"separator tab", "skipped 2 lines of counts"});
  EXPECT_EQ(pairs("2 3 4\nuser,item\n1,2\n1,3\n"), "1:2 1:3");
  expect_contains(remarks_, {"skipped 1 line of counts", "header on line 2"});
  EXPECT_EQ(pairs("# item,user\n1,2\n1,3\n"), "2:1 3:1");
  expect_contains(remarks_, {"header on line 1"});
  EXPECT_EQ(pairs("%%MatrixMarket matrix coordinate real general\n%\n3 9 2\n1 8 5\n1 9 5\n"),
            "1:8 1:9");
  EXPECT_EQ(pairs("#1,2\n#1,3\n"), "#1:2 #1:3") << "no comments, as all lines are alike";
  refused("9\t3\n1\t2\t5\n1\t3\t5\n", "f:1: has 2 numbers above rows of 3; complete the row");
  EXPECT_EQ(pairs("# a\na x y\nb x\nc x y z\n"), "a:x a:y b:x c:x c:y c:z");  // adjacency
  EXPECT_EQ(remarks_,
            "f: each line is taken for a user and its items, as in format adjacency; if not, name "
            "the --format\nf: skipped 1 lines of comments\n");
}

TEST_F(Layout, TheSeparatorMayBeNamed) {
  const auto with = [&](std::string_view separator, std::string_view text) {
    options_.separator = separator_from_name(separator);
    return pairs(text);
  };
  EXPECT_EQ(with("blanks", "1  2 3\n 2 \t2 3\n3 2 3 \n"), "1:2 2:2 3:2");
  EXPECT_EQ(with("tab", "1 2\t2\n"), "1 2:2");
  EXPECT_EQ(with(";", "1,0;2\n"), "1,0:2");
  EXPECT_EQ(with("^", "1^2\n"), "1:2");
  EXPECT_EQ(with("\xC2\xA6",
                 "1\xC2\xA6"
                 "2\n"),
            "1:2");
  EXPECT_EQ(with("::", "1::2\n"), "1:2");
  for (const char* name : {"", ";;", "\"", "\n", "dot"}) {
    expect_error([&] { separator_from_name(name); }, "there is no separator");
  }
  options_.format = Format::kAdjacency;
  refused("1 2\n", "leave these options out");
}

TEST(ColumnNames, AreThoseOfTheDocumentation) {
  const std::string text = read_text(DERRD_SOURCE "/data/README.md");
  for (const auto& [role, word] :
       {std::pair(ColumnRole::kUser, "user"), std::pair(ColumnRole::kItem, "item"),
        std::pair(ColumnRole::kRating, "rating"), std::pair(ColumnRole::kTime, "time")}) {
    const size_t begin = text.find(std::string("\n- ") + word + ": ");
    ASSERT_NE(begin, std::string::npos) << word;
    const size_t end = std::min(text.find("\n- ", begin + 1), text.find("\n\n", begin));
    std::istringstream words(text.substr(begin, end - begin));
    std::set<std::string> documented;
    for (std::string name; words >> name;) {
      if (name == "-" || name.ends_with(':')) continue;
      std::erase_if(name, [](char c) { return c == ',' || c == '_'; });
      documented.insert(name);
    }
    const auto names = names_of_role(role);
    EXPECT_EQ(documented, (std::set<std::string>(names.begin(), names.end()))) << word;
  }
}

TEST(ColumnNames, AreComparedByTheirLettersAlone) {
  for (const char* name : {"user_id", "User-ID", " USER ID", "userId:token", "\"user_id\""}) {
    EXPECT_EQ(role_of_name(name), ColumnRole::kUser) << name;
  }
  EXPECT_EQ(role_of_name("ISBN"), ColumnRole::kItem);
  EXPECT_EQ(role_of_name("Book-Rating"), ColumnRole::kRating);
  EXPECT_EQ(role_of_name("t_dat"), ColumnRole::kTime);
  EXPECT_EQ(role_of_name("title"), ColumnRole::kUnknown);
}

}  // namespace
}  // namespace derrd::test::table_layout_test
