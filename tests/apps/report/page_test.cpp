// The report's page as a browser shows it: complete, self-contained, readable on a phone and in the
// dark. Needs Chromium.

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/apps/experiments/experiment_fixture.h"

namespace derrd::test::page_test {
namespace {

#ifdef DERRD_CHROMIUM

/// Looks at index.html in a frame as wide as a phone, and leaves what it saw as JSON.
constexpr const char* kLook = R"(<!doctype html><meta charset=utf-8>
<iframe id=frame src="index.html" style="width: 390px; height: 844px; border: 0"></iframe>
<script>
const luminance = color => {
  const [r, g, b] = color.match(/[\d.]+/g).slice(0, 3).map(c => c / 255)
      .map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
onload = () => {
  const page = frame.contentDocument, window = frame.contentWindow;
  const all = selector => [...page.querySelectorAll(selector)];
  const style = element => window.getComputedStyle(element);
  const background = luminance(style(page.body).backgroundColor);
  const contrast = color => {
    const one = luminance(color);
    return (Math.max(one, background) + .05) / (Math.min(one, background) + .05);
  };
  const texts = all('h1, h2, th, td, li, p, text');
  const seen = {
    title: page.title,
    resources: window.performance.getEntriesByType('resource').map(entry => entry.name),
    scripts: page.scripts.length,
    width: page.documentElement.scrollWidth,
    wide: all('body *').filter(part => !part.closest('.scroll') && part.clientWidth && part.scrollWidth > part.clientWidth)
        .map(part => part.outerHTML.slice(0, 200)),
    tables: all('table').map(table => table.rows.length),
    uneven: all('tr').filter(row => row.cells.length !== row.closest('table').rows[0].cells.length).length,
    unnamed: all('.scroll').filter(part => !page.getElementById(part.getAttribute('aria-labelledby'))).length,
    unscoped: all('th').filter(header => !header.scope).length,
    broken_links: all('nav a').filter(link => !page.getElementById(link.hash.slice(1))).length,
    charts: all('figure svg').map(chart => chart.querySelectorAll('.line').length),
    outside: all('figure svg :is(path, circle, text)').filter(part => {
      const box = part.getBoundingClientRect(), picture = part.ownerSVGElement.getBoundingClientRect();
      return box.left < picture.left - 1 || box.top < picture.top - 1 || box.right > picture.right + 1 || box.bottom > picture.bottom + 1;
    }).map(part => part.outerHTML.slice(0, 200)),
    dark: background < .5,
    text_contrast: Math.min(...texts.map(element =>
        contrast(element.tagName === 'text' ? style(element).fill : style(element).color))),
    line_contrast: Math.min(...all('.line').map(line => contrast(style(line).stroke))),
  };
  document.body.textContent = 'SEEN' + JSON.stringify(seen) + 'END';
};
</script>)";

class Page : public Experiments {
 protected:
  Page() {
    // The page names its recipe, here by a word that is wider than a phone.
    const std::string recipe = path(std::string(80, 'x') + ".toml");
    write_text(recipe, recipe_);
    succeed(words("reproduce --data citeulike=@users.tsv --recipes", recipe,
                  "--work @work -o @report --models bpr --splits 0,1 "
                  "--methods student,de,rrd,de-rrd --table 1,2,3 --quiet"));
    write_text(path("report/look.html"), kLook);
  }

  nlohmann::json look(const std::string& flags) const {
    const std::string command =
        "HOME='" + path("home") +
        "' timeout 60 " DERRD_CHROMIUM
        " --headless --no-sandbox --disable-gpu --allow-file-access-from-files"
        " --virtual-time-budget=5000 --dump-dom " +
        flags + " 'file://" + path("report/look.html") + "' >'" + path("dom") + "' 2>'" +
        path("chromium-errors") + "'";
    EXPECT_EQ(std::system(command.c_str()), 0) << read_text(path("chromium-errors"));
    const std::string dom = read_text(path("dom"));
    const size_t begin = dom.find("SEEN{"), end = dom.find("}END");
    if (begin == std::string::npos || end == std::string::npos) {
      ADD_FAILURE() << dom << read_text(path("chromium-errors"));
      return {};
    }
    return nlohmann::json::parse(dom.substr(begin + 4, end + 1 - begin - 4));
  }
};

TEST_F(Page, IsCompleteSelfContainedAndReadable) {
  for (const bool dark : {false, true}) {
    const nlohmann::json seen = look(dark ? "--blink-settings=preferredColorScheme=0"
                                          : "--blink-settings=preferredColorScheme=1");
    ASSERT_TRUE(seen.is_object());
    EXPECT_EQ(seen["title"], "DE-RRD reproduced");
    EXPECT_EQ(seen["dark"], dark);
    EXPECT_EQ(seen["resources"], nlohmann::json::array());
    EXPECT_EQ(seen["scripts"], 0);
    EXPECT_LE(seen["width"], 390) << "the page scrolls sideways on a phone: " << seen["wide"];
    // Table 1: a row and the paper's two. Table 2: five of these, Improv.s. Its tests. Table 3: the
    // teacher, three sizes; of each three ways to make lists.
    EXPECT_EQ(seen["tables"], (nlohmann::json{4, 1 + 5 * 3 + 3, 1 + 3, 1 + 1 + 3 * 3, 1 + 4 * 3}));
    // Table 2's picture has dots. The curves of two panels and their legend are lines, beside which
    // there may be published ones.
    ASSERT_EQ(seen["charts"].size(), 2u);
    EXPECT_GE(seen["charts"][1], 3 * 5);
    EXPECT_EQ(seen["outside"], nlohmann::json::array());
    for (const char* fault : {"uneven", "unnamed", "unscoped", "broken_links"}) {
      EXPECT_EQ(seen[fault], 0) << fault;
    }
    EXPECT_GE(seen["text_contrast"], 4.5) << "WCAG AA for text, dark: " << dark;
    EXPECT_GE(seen["line_contrast"], 3.0) << "WCAG AA for graphics, dark: " << dark;
  }
}

/// All methods that tables, figures and claims train, with few epochs.
constexpr const char* kMethods = R"(
[bpr.rd]
rd-warmup = 2
[bpr.cd]
cd-list = 30
cd-items = 5
[bpr.de-attention]
inherits = ["de"]
method = "de"
gate = "attention"
[bpr.de-one-large]
inherits = ["de"]
method = "de"
gate = "mean"
[bpr.de-one-small]
inherits = ["de"]
method = "de"
experts = 1
[bpr.rrd-full]
inherits = ["rrd"]
method = "rrd"
ranking = "full"
[bpr.rrd-interesting]
inherits = ["rrd"]
method = "rrd"
ranking = "interesting"
)";

class WholePage : public Page {
 protected:
  WholePage() {
    std::string recipe = recipe_ + kMethods;
    recipe.replace(recipe.find("list = 30"), 9, "list = 60");  // K of up to 50
    write_text(path("all.toml"), recipe);
    succeed(
        words("reproduce --data citeulike=@users.tsv --recipes @all.toml --work @work "
              "-o @report --models bpr --splits 0 --all --quiet"));
    write_text(path("report/look.html"), kLook);
  }
};

TEST_F(WholePage, EveryTableAndFigureIsReadable) {
  const auto files = texts_in("report");
  for (const char* part : {"table1", "table2", "table3", "table4", "table5", "figure4", "figure5",
                           "figure6", "figure7", "capacity", "claims"}) {
    for (const char* format : {".md", ".tsv"}) {
      EXPECT_TRUE(files.contains(std::string(part) + format)) << part << format;
    }
  }
  for (const char* picture : {"table2", "figure4", "frontier", "figure5", "figure6",
                              "figure6-epochs", "figure7", "capacity", "curves"}) {
    const std::string name = std::string(picture) + "-citeulike-bpr.svg";
    ASSERT_TRUE(files.contains(name)) << name;
    EXPECT_TRUE(files.at(name).starts_with("<svg xmlns=")) << name;
    EXPECT_TRUE(contains(files.at("index.html"), files.at(name))) << name << " is on the page";
  }
  // A student as large as its teacher is the same training.
  const Arguments runs = lines_of(files.at("runs.tsv"));
  EXPECT_EQ(std::set<std::string>(runs.begin(), runs.end()).size(), runs.size());
  for (const bool dark : {false, true}) {
    const nlohmann::json seen = look(dark ? "--blink-settings=preferredColorScheme=0"
                                          : "--blink-settings=preferredColorScheme=1");
    ASSERT_TRUE(seen.is_object());
    EXPECT_LE(seen["width"], 390) << "the page scrolls sideways on a phone: " << seen["wide"];
    EXPECT_EQ(seen["charts"].size(), 9u);
    EXPECT_EQ(seen["outside"], nlohmann::json::array());
    EXPECT_EQ(seen["broken_links"], 0);
    EXPECT_GE(seen["text_contrast"], 4.5) << "WCAG AA for text, dark: " << dark;
    EXPECT_GE(seen["line_contrast"], 3.0) << "WCAG AA for graphics, dark: " << dark;
  }
}

#else

TEST(Page, IsCompleteSelfContainedAndReadable) {
  GTEST_SKIP() << "there was no chromium (package chromium) when this was configured";
}

#endif

}  // namespace
}  // namespace derrd::test::page_test
