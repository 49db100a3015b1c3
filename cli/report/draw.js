"use strict";
for (const holder of document.querySelectorAll("[data-figure]")) {
  const specification = JSON.parse(document.getElementById(holder.dataset.figure).textContent);
  vegaEmbed(holder, specification, { ast: true, renderer: "svg", actions: false }).catch((error) => {
    holder.textContent = "This figure could not be drawn; its numbers are in the table below. " + error;
  });
}
