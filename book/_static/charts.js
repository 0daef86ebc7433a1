/* Live charts. Each .report-chart holds a static image, an empty box, and a Vega-Lite specification.
 * The chart is drawn into the box and then takes the image's place; it is drawn again when the page
 * turns dark or light or changes its width, with the sliders where the reader left them. */
(() => {
  "use strict";

  // DARK of vmalloc_model/charts/theme.py; a test keeps the two the same.
  const DARK = {"#222832": "#ced6dd", "#5b6470": "#9ca4af", "#d9dde2": "#364150", "#ffffff": "#121212"};
  const NARROW = 480;     // px; below it legends stand in one column
  const WIDEST = 760;     // px; a chart grows with the text column up to here
  const page = document.documentElement;
  const isDark = () => page.dataset.theme === "dark";

  function painted(part) {
    if (typeof part === "string") return DARK[part.toLowerCase()] ?? part;
    if (Array.isArray(part)) return part.map(painted);
    if (part === null || typeof part !== "object") return part;
    return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, painted(value)]));
  }

  // One plot, in layers or not, can be told the width of the whole. Facets, rows of plots and plots
  // with a row per category cannot: there the plots inside are scaled until the whole fits.
  const hasRows = (view) => ["nominal", "ordinal"].includes(view.encoding?.y?.type) || view.layer?.some(hasRows);
  const canFit = (spec) => (spec.mark || spec.layer)
    && (typeof spec.height === "number" || !(spec.height || hasRows(spec)))
    && !["facet", "row", "column"].some((channel) => spec.encoding?.[channel]);

  function scalePlots(view, factor, usual) {
    const inside = view.hconcat ?? view.vconcat ?? view.concat ?? (view.spec && [view.spec]);
    if (inside) inside.forEach((part) => scalePlots(part, factor, usual));
    else if (typeof (view.width ?? usual) === "number") view.width = Math.round((view.width ?? usual) * factor);
  }

  class Chart {
    constructor(box) {
      this.box = box;
      this.live = box.querySelector(".report-live");
      this.source = box.querySelector("script").textContent;
      this.drawing = Promise.resolve();
    }

    redraw() {
      this.drawing = this.drawing.then(() => this.fit()).catch((error) => {
        this.box.classList.remove("report-on");
        console.error("chart", error);
      });
      return this.drawing;
    }

    async fit() {
      const room = this.width = Math.min(this.box.clientWidth, WIDEST);
      if (canFit(JSON.parse(this.source))) {
        await this.draw(room, 1);
      } else {
        const natural = await this.draw(room, 1);
        if (natural > room) {
          const first = room / natural;
          const width = await this.draw(room, first);
          // What the first try did not shrink is axes and legends: the plots make up for it, and
          // for the few px by which labels change.
          if (width > room) {
            const plots = (natural - width) / (1 - first);
            await this.draw(room, Math.max(0.2, 1 - (natural - room + 4) / plots));
          }
        }
      }
      this.box.classList.add("report-on");
    }

    /* Draw once; return the width in px. */
    async draw(room, factor) {
      const spec = this.spec(room, factor);
      for (const param of spec.params ?? []) {
        if (param.bind && this.shown) param.value = this.shown.view.signal(param.name);
      }
      this.shown?.finalize();
      this.shown = await window.vegaEmbed(this.live, spec, {
        mode: "vega-lite", renderer: "svg", actions: false, tooltip: {theme: isDark() ? "dark" : "light"},
      });
      return Number(this.live.querySelector("svg").getAttribute("width"));
    }

    spec(room, factor) {
      const parsed = JSON.parse(this.source);
      const spec = isDark() ? painted(parsed) : parsed;
      const config = spec.config ??= {};
      if (canFit(spec)) {
        if (typeof (spec.width ?? 0) === "number") spec.width = room;
        spec.autosize = {type: "fit-x", contains: "padding", resize: true};  // labels change with sliders
      } else {
        scalePlots(spec, factor, config.view?.continuousWidth);
      }
      config.axisX = {titleLimit: room * 0.9, ...config.axisX};
      if (room < NARROW) {
        config.legend = {...config.legend, columns: 1, labelLimit: room * 0.8};
        config.axisY = {...config.axisY, labelLimit: room * 0.35};
        config.title = {...config.title, limit: room};
      }
      return spec;
    }
  }

  function watch(charts) {
    const redraw = () => charts.forEach((chart) => chart.redraw());
    new MutationObserver(redraw).observe(page, {attributeFilter: ["data-theme"]});
    let waiting;
    window.addEventListener("resize", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        if (charts.some((chart) => Math.min(chart.box.clientWidth, WIDEST) !== chart.width)) redraw();
      }, 150);
    });
  }

  // Paper is light.
  function printLight() {
    const print = window.matchMedia("print");
    let theme = page.dataset.theme;
    print.addEventListener("change", () => {
      if (print.matches) [theme, page.dataset.theme] = [page.dataset.theme, "light"];
      else page.dataset.theme = theme;
    });
  }

  function start() {
    printLight();
    const boxes = [...document.querySelectorAll(".report-chart")];
    if (!boxes.length) return;
    const script = document.createElement("script");
    script.src = `${page.dataset.content_root ?? "./"}_static/vendor/vega.js`;
    script.onload = () => {
      const charts = boxes.map((box) => new Chart(box));
      charts.forEach((chart) => chart.redraw());
      watch(charts);
    };
    document.head.append(script);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
