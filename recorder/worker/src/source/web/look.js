// Does this page play? Compares what it sees with what it saw at the look before.
new Promise((resolve) => {
  const seen = (globalThis[Symbol.for("sluice.look")] ??= new WeakMap());
  const changed = (element, now) => {
    const before = seen.get(element);
    seen.set(element, now);
    return before !== undefined && before !== now;
  };
  const fingerprint = (canvas) => {
    const small = document.createElement("canvas");
    small.width = small.height = 16;
    small.getContext("2d").drawImage(canvas, 0, 0, 16, 16);
    return small.toDataURL();
  };
  const moves = (element) => {
    try {
      if (element instanceof element.ownerDocument.defaultView.HTMLMediaElement) {
        return element.readyState >= 2 && changed(element, element.currentTime);
      }
      return element.width > 0 && element.height > 0 && changed(element, fingerprint(element));
    } catch {
      return false; // a canvas with pictures of another site may not be read
    }
  };
  const roots = (root) => {
    const inner = [];
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) inner.push(...roots(element.shadowRoot));
      if (element.localName === "iframe") {
        try {
          if (element.contentDocument) inner.push(...roots(element.contentDocument));
        } catch {
          // a frame of another site
        }
      }
    }
    return [root, ...inner];
  };
  const look = () => {
    let moving = false;
    for (const root of roots(document)) {
      for (const element of root.querySelectorAll("video, audio, canvas")) {
        if (moves(element)) moving = true; // all of them, so that each is remembered
      }
    }
    resolve({
      loaded: document.readyState === "complete",
      declared: globalThis.__sluice !== undefined,
      ready: globalThis.__sluice?.ready === true,
      moving,
    });
  };
  // Within a frame's callbacks a WebGL canvas still holds its picture. A page without frames is looked at as well.
  requestAnimationFrame(look);
  setTimeout(look, 500);
});
