(() => {
  const rows = JSON.parse(document.getElementById("search-data").textContent);
  const form = document.getElementById("search");
  const box = form.elements.q;
  const filters = [...form.querySelectorAll("select")];
  const views = [...document.querySelectorAll("#features details.view")];
  const count = document.getElementById("hits");
  const entries = rows.map((row) => ({ row, element: document.getElementById("feature-" + row.name) }));
  document.documentElement.classList.add("js");

  const fits = (row, words) =>
    words.every((word) => row.words.includes(word)) &&
    filters.every((filter) => !filter.value || [].concat(row[filter.name]).includes(filter.value));

  function apply() {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const asked = words.length > 0 || filters.some((filter) => filter.value);
    let hits = 0;
    for (const { row, element } of entries) {
      const hit = fits(row, words);
      element.hidden = !hit;
      hits += hit;
    }
    for (const view of views) {
      const found = view.querySelectorAll("details.f:not([hidden])").length;
      view.hidden = found === 0;
      view.open = asked && found > 0;
      view.querySelector(".found").textContent = asked ? found + " of " + view.dataset.size : view.dataset.size;
    }
    count.textContent = asked ? hits + " of " + rows.length + " features" : rows.length + " features";
    form.querySelector("button").hidden = !asked;
    document.body.classList.toggle("asked", asked);
    return asked;
  }

  function show() {
    const section = document.getElementById("features");
    if (section.getBoundingClientRect().top > innerHeight / 2) section.scrollIntoView();
  }

  function remember() {
    const asked = apply();
    if (asked) show();
    const state = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    history.replaceState(null, "", asked ? "#" + state : location.pathname + location.search);
  }

  function follow() {
    const hash = decodeURIComponent(location.hash.slice(1));
    const target = document.getElementById(hash);
    if (!target) {
      const state = new URLSearchParams(location.hash.slice(1));
      for (const field of [box, ...filters]) field.value = state.get(field.name) || "";
      if (apply()) show();
      return;
    }
    if (target.closest("[hidden]")) {
      form.reset();
      apply();
    }
    for (let one = target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
    target.scrollIntoView();
  }

  form.addEventListener("input", remember);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.querySelector("button").addEventListener("click", () => {
    form.reset();
    remember();
    box.focus();
  });
  addEventListener("hashchange", follow);
  addEventListener("beforeprint", () => entries.forEach(({ element }) => (element.closest("details.view").open = true)));
  apply();
  if (location.hash) follow();
})();
