/** Reads signatures and doc comments of the functions that users call out of the sources. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { root } from '../process.mjs'

/**
 * `{ signatures, comment }` for each commented function that a file exports, as itself or in an object. What users
 * call by a longer name than the file has for it gets that prefix.
 */
export function signaturesIn(folder, file, prefix) {
  const path = join(root, 'src', folder, `${file}.ts`)
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2023, true)
  const all = source.statements.filter(isExported).flatMap((statement) => callables(statement, source, prefix))
  const names = [...new Set(all.map(({ name }) => name))]
  return names.map((name) => overloads(all.filter((one) => one.name === name))).filter(({ comment }) => comment !== '')
}

/** Of a function with overloads, the implementation is nobody's business. */
function overloads(declarations) {
  const visible = declarations.length === 1 ? declarations : declarations.filter(({ hasBody }) => !hasBody)
  const comments = visible.map(({ comment }) => comment).filter((comment) => comment !== '')
  return { signatures: visible.map(({ signature }) => signature), comment: comments.join('\n\n') }
}

function isExported(statement) {
  return (
    ts.canHaveModifiers(statement) &&
    ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)
  )
}

function callables(statement, source, prefix) {
  if (ts.isFunctionDeclaration(statement)) return [described(statement, `${prefix}${statement.name.text}`, source)]
  if (!ts.isVariableStatement(statement)) return []
  return statement.declarationList.declarations.flatMap(({ name, initializer }) => {
    if (initializer === undefined || !ts.isObjectLiteralExpression(initializer)) return []
    const methods = initializer.properties.filter(ts.isMethodDeclaration)
    return methods.map((method) => described(method, `${name.getText(source)}.${method.name.getText(source)}`, source))
  })
}

function described(node, name, source) {
  const end = node.body?.getStart(source) ?? node.end
  const rest = source.text.slice(node.name.end, end).trim()
  const comment = ts.getJSDocCommentsAndTags(node).map(({ comment }) => ts.getTextOfJSDocComment(comment) ?? '')
  return {
    name,
    signature: `${name}${unindented(rest)}`,
    comment: comment.join('\n\n').trim(),
    hasBody: node.body !== undefined,
  }
}

/** A method's text as if it stood at the margin. */
function unindented(text) {
  const lines = text.split('\n')
  const margin = Math.min(...lines.slice(1).map((line) => line.search(/\S|$/)), Number.MAX_SAFE_INTEGER)
  return [lines[0], ...lines.slice(1).map((line) => line.slice(margin))].join('\n')
}
