// Fetches the part that changes whenever the keeper says so, once a second at most. Without it the page is whole, and reloads itself.
(() => {
  let wanted = false, busy = false;
  const refresh = async () => {
    if (busy) { wanted = true; return; }
    busy = true;
    do {
      wanted = false;
      try {
        const answer = await fetch("?part", { cache: "no-store" });
        if (answer.ok) {
          const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
          if (fresh) document.querySelector("main").replaceWith(fresh);
          const head = document.querySelector(".headline");
          document.title = (head && head.classList.contains("good") ? "replicated" : "not replicated") + " · Litekeeper";
        }
      } catch { gone(); }
      await new Promise((done) => setTimeout(done, 1000));
    } while (wanted);
    busy = false;
  };
  const gone = () => {
    const head = document.querySelector(".headline");
    if (!head || head.classList.contains("gone")) return;
    head.className = "headline bad gone";
    head.querySelector("h1").textContent = "The keeper does not answer.";
    document.title = "no answer · Litekeeper";
  };
  const events = new EventSource("events");
  events.addEventListener("hello", refresh);
  events.addEventListener("change", refresh);
  events.onerror = gone;
  setInterval(refresh, 15000);
})();
