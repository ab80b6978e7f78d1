/** Whether labels are chosen by a selector as Kubernetes writes it, like `mesh=blue,env in (a, b),!old`. */
export function selectorMatches(selector: string, labels: Readonly<Record<string, string>>): boolean {
  return requirements(selector).every((text) => meets(text.trim(), labels));
}

/** Commas within parentheses belong to their requirement. */
function requirements(selector: string): string[] {
  return selector.split(/,(?![^(]*\))/).filter((text) => text.trim() !== '');
}

function meets(text: string, labels: Readonly<Record<string, string>>): boolean {
  const [, set = '', not, list = ''] = /^(\S+)\s+(not)?in\s+\((.*)\)$/.exec(text) ?? [];
  if (set !== '') {
    const value = labels[set];
    const among = value !== undefined && list.split(',').some((one) => one.trim() === value);
    return not === undefined ? among : !among;
  }
  const [, name = '', operator = '', wanted = ''] = /^([^=!\s]+)\s*(==|=|!=)\s*(\S*)$/.exec(text) ?? [];
  if (name !== '') return operator === '!=' ? labels[name] !== wanted : labels[name] === wanted;
  return text.startsWith('!') ? labels[text.slice(1).trim()] === undefined : labels[text] !== undefined;
}
