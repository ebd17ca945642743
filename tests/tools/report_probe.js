// Runs inside of a report, after its own script: what a reader would do, and what must not be there. Writes its findings to the
// console, where report_browser.sh reads them.
"use strict";
addEventListener("load", () => {
    const found = [];
    const check = (what, ok) => found.push((ok ? "ok: " : "failed: ") + what);
    const all = (selector, root) => [...(root || document).querySelectorAll(selector)];
    const key = (name) => document.dispatchEvent(new KeyboardEvent("keydown", {key: name, bubbles: true}));
    const width = innerWidth;

    all("details").forEach((e) => { e.open = true; });
    check("width " + width, width === +"WIDTH");
    check("no scroll sideways, " + document.documentElement.scrollWidth, document.documentElement.scrollWidth <= width);
    const wide = all("body *").find((e) => e.getBoundingClientRect().right > width + 1 && !e.closest("svg"));
    check("nothing past the edge" + (wide ? ", found " + wide.outerHTML.slice(0, 80) : ""), !wide);
    check("no foreign elements", all("img, iframe, object, embed, form, link, base, svg svg, h1 h1, q b").length === 0);
    check("no handlers", all("*").every((e) => [...e.attributes].every((a) => !/^on/i.test(a.name) && a.name !== "style")));
    check("two scripts", all("script").length === 2);
    check("links lead somewhere", all("a").every((a) => document.getElementById(a.getAttribute("href").slice(1)) !== null));
    check("ids are unique", new Set(all("[id]").map((e) => e.id)).size === all("[id]").length);
    for (const chart of all(".chart")) {
        const rows = all(".now li", chart), lines = chart.querySelector(".lines svg").getBoundingClientRect();
        const high = rows.map((e) => e.getBoundingClientRect());
        check("rows do not overlap", high.every((r, i) => i === 0 || r.top >= high[i - 1].bottom - 0.5));
        check("names stay in their row", all(".now a", chart).every((e, i) => e.getBoundingClientRect().height <= high[i].height + 0.5));
        check("lines end at the rows", Math.abs(lines.bottom - high[high.length - 1].bottom) < 1.5 && Math.abs(lines.top - high[0].top) < 1.5);
        check("numbers are on one line", all(".was li, .now b, .now i", chart).every((e) => {
            const range = document.createRange();
            range.selectNodeContents(e);
            return range.getBoundingClientRect().height < high[0].height;
        }));
        check("a line a row", all("path", chart).length === rows.length);
    }

    const marks = all("mark");
    if (marks.length > 0) {
        const line = (shade) => parseFloat(getComputedStyle(document.querySelector("mark.w" + shade)).textDecorationThickness);
        check("marked words have a line below", marks.every((e) => getComputedStyle(e).textDecorationLine === "underline"));
        check("the more attention the thicker", line(1) < line(2) && line(2) < line(3) && line(3) < line(4));
        check("marked words are as dark as others", marks.every((e) => getComputedStyle(e).color === getComputedStyle(document.body).color));
        check("marks on cards tell their share", all(".card mark").every((e) => /^[0-9.]+ % of /.test(e.title)));
    }

    const body = document.querySelector(".body"), peek = document.getElementById("peek");
    const mention = body.querySelector(".said-all .m") || body.querySelector(".m");
    mention.click();
    check("a click picks a passage", body.classList.contains("pick") && !peek.hidden && peek.textContent.length > 10);
    check("its line and its row", all("path.on", body).length === 1 && all(".now li.on", body).length === 1 && all(".card.on", body).length === 1);
    check("they are the mention's", body.querySelector("path.on").dataset.p === mention.dataset.p);
    key("Escape");
    check("Escape lets go", !body.classList.contains("pick") && peek.hidden && all(".on").length === 0);
    all(".now a", body)[1].dispatchEvent(new PointerEvent("pointerover", {pointerType: "mouse", bubbles: true}));
    check("so does pointing", body.classList.contains("pick") && all("path.on", body).length === 1);
    all(".now a", body)[1].dispatchEvent(new PointerEvent("pointerout", {pointerType: "mouse", bubbles: true}));
    check("and pointing away", !body.classList.contains("pick"));

    const find = document.getElementById("find");
    if (find) {
        const shown = () => all("main > .query").filter((e) => !e.hidden);
        check("all are listed", shown().length === all("main > .query").length);
        find.value = "FRESH flowers";
        find.dispatchEvent(new Event("input"));
        check("the search finds one", shown().length === 1 && shown()[0].id === "q1");
        find.value = "";
        find.dispatchEvent(new Event("input"));
        const order = document.getElementById("order");
        order.value = "loss";
        order.dispatchEvent(new Event("change"));
        const gains = all("main > .query").map((e) => +e.dataset.gain);
        check("the order is by loss", gains.every((g, i) => i === 0 || g >= gains[i - 1]));
        key("/");
        check("/ goes to the search", document.activeElement === find);
    }
    found.forEach((f) => console.log("probe " + f + "."));
    console.log("probe end.");
});
