/** What is better with a script: copying, local times, and a slider that answers while it moves. Nothing needs it. */

const LOCAL = "muniment-local-times";

function inLocalTime(date) {
  const two = (number) => String(number).padStart(2, "0");
  const offset = -date.getTimezoneOffset();
  const [sign, minutes] = [offset < 0 ? "-" : "+", Math.abs(offset)];
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${clock}${sign}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

function remembered() {
  try {
    return localStorage.getItem(LOCAL) === "1";
  } catch {
    return false;
  }
}

function remember(local) {
  try {
    localStorage.setItem(LOCAL, local ? "1" : "0");
  } catch {
    // A browser that keeps nothing shows UTC on the next page.
  }
}

function showTimes(within, local) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    time.dataset.utc ??= time.textContent;
    const date = new Date(time.dateTime);
    time.textContent = local && !Number.isNaN(date.valueOf()) ? inLocalTime(date) : time.dataset.utc;
  }
}

function zones() {
  const button = document.querySelector("[data-zone]");
  if (!button) return;
  const show = (local) => {
    button.textContent = local ? "Times here" : "Times in UTC";
    button.setAttribute("aria-pressed", String(local));
    showTimes(document, local);
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    remember(!remembered());
    show(remembered());
  });
  show(remembered());
}

function copying(within) {
  if (!navigator.clipboard) return;
  for (const button of within.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.dataset.copied = "";
      setTimeout(() => delete button.dataset.copied, 1500);
    });
  }
}

function enhance(within) {
  copying(within);
  showTimes(within, remembered());
}

/** Moving asks for the page of that moment and puts its state in place; the address follows, so it can be shared. */
function sliding() {
  const form = document.querySelector("[data-slider]");
  const range = form?.querySelector("input[type=range]");
  if (!range) return;
  form.querySelector("[data-slider-submit]").hidden = true;
  let asking = new AbortController();
  let waiting;
  range.addEventListener("input", () => {
    const at = form.querySelector("[data-slider-at]");
    at.textContent = `${Number(range.value).toLocaleString("en")} of ${Number(range.max).toLocaleString("en")}`;
    clearTimeout(waiting);
    waiting = setTimeout(move, 120);
  });

  async function move() {
    asking.abort();
    asking = new AbortController();
    const address = `${location.pathname}?as_of=${range.value}`;
    const state = document.querySelector("[data-state]");
    state.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address, { signal: asking.signal, headers: { Accept: "text/html" } });
      if (answer.redirected) {
        location.assign(address);
        return;
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      put(page, address, answer.ok);
    } catch (problem) {
      if (problem.name !== "AbortError") location.assign(address);
    }
  }

  function put(page, address, found) {
    const state = document.querySelector("[data-state]");
    state.removeAttribute("aria-busy");
    const next = page.querySelector("[data-state]") ?? page.querySelector("main > section");
    state.replaceChildren(...document.adoptNode(next).childNodes);
    if (found) {
      for (const part of [".head", ".slider-steps", ".tabs"]) {
        const fresh = page.querySelector(part);
        if (fresh) document.querySelector(part).replaceWith(document.adoptNode(fresh));
      }
      form.querySelector("[data-slider-submit]").hidden = true;
      document.title = page.title;
      enhance(document.querySelector(".head"));
    }
    history.replaceState(null, "", address);
    enhance(state);
  }
}

zones();
copying(document);
sliding();
