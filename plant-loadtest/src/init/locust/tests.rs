use std::fmt::Write as _;

use super::convert;
use crate::init::{
    draft::{Draft, RemarkKind, Shape, Step, Variable},
    value::Value,
};

/// A user class with one task of these statements.
fn class(statements: &str) -> String {
    let mut text = String::from(
        "import random, uuid\nfrom locust import HttpUser, task\n\nclass U(HttpUser):\n    @task\n    def t(self):\n",
    );
    for line in statements.lines() {
        let _ = writeln!(text, "        {line}");
    }
    text
}

fn converted(statements: &str) -> Draft {
    convert("f.py", &class(statements)).unwrap()
}

fn steps(draft: &Draft) -> &[Step] {
    &draft.classes[0].tasks[0].steps
}

fn left_out(draft: &Draft) -> Vec<String> {
    let left_out = draft.remarks.iter().filter(|remark| remark.kind == RemarkKind::LeftOut);
    left_out.map(ToString::to_string).collect()
}

#[test]
fn one_draw_that_is_used_twice_is_one_variable() {
    let draft = converted(
        "name = random.choice(['a', 'b'])\nself.client.get(f'/x/{name}')\nself.client.get('/y/' + name)\n\
         self.client.get('/z/%s' % random.choice(['c', 'd']))",
    );
    let paths: Vec<&str> = steps(&draft).iter().map(|step| &*step.path).collect();
    assert_eq!(paths, ["/x/{name}", "/y/{name}", "/z/{id}"]);
    let variables = &draft.classes[0].tasks[0].variables;
    assert_eq!(variables[0].1, Variable::OneOf(vec!["a".into(), "b".into()]));
    assert_eq!(variables.len(), 2);
}

#[test]
fn text_of_the_file_is_no_placeholder() {
    let draft = converted("self.client.post('/{x}', json={'text': '{y} {uuid}'})");
    assert_eq!(steps(&draft)[0].path, "/{{x}}");
    let expected = Value::Table(vec![("text".into(), "{{y}} {{uuid}}".into())]);
    assert_eq!(steps(&draft)[0].body, crate::init::draft::Body::Json(expected));
}

#[test]
fn conditions_on_the_status_are_expectations() {
    for (condition, expected) in [
        ("if r.status_code == 200:\n    r.success()\nelse:\n    r.failure('x')", vec![200]),
        ("if r.status_code != 201:\n    r.failure('x')", vec![201]),
        ("if r.status_code not in (200, 204):\n    r.failure('x')\n    return", vec![200, 204]),
        ("if r.status_code == 404:\n    r.success()", vec![200, 404]),
        (
            "if r.status_code == 200 or r.status_code == 202:\n    pass\nelse:\n    r.failure('x')",
            vec![200, 202],
        ),
        ("if not r.ok:\n    r.failure('x')", vec![]),
        ("if 200 <= r.status_code < 300:\n    r.success()\nelse:\n    r.failure('x')", vec![]),
        ("if r.status_code >= 400:\n    r.failure('x')", vec![]),
        ("assert r.status_code == 203", vec![203]),
    ] {
        let body: String = condition.lines().map(|line| format!("    {line}\n")).collect();
        let draft =
            converted(&format!("with self.client.get('/', catch_response=True) as r:\n{body}"));
        assert_eq!(steps(&draft)[0].expect.status, expected, "{condition}");
        assert_eq!(left_out(&draft), Vec::<String>::new(), "{condition}");
    }
}

#[test]
fn a_value_that_is_a_condition_is_an_expected_key() {
    for condition in [
        "if not r.json().get('id'):\n    r.failure('no id')",
        "assert r.json()['id']",
        "if 'id' not in r.json():\n    r.failure('no id')",
    ] {
        let body: String = condition.lines().map(|line| format!("    {line}\n")).collect();
        let draft =
            converted(&format!("with self.client.get('/', catch_response=True) as r:\n{body}"));
        let expected = Some(Shape::Object(vec!["id".into()]));
        assert_eq!(steps(&draft)[0].expect.shape, expected, "{condition}");
    }
}

#[test]
fn a_request_in_a_condition_is_sent_once() {
    let draft = converted(
        "if self.client.get('/a').status_code == 200:\n    self.client.get('/b')\n\
         assert self.client.get('/c').status_code == 201",
    );
    let sent: Vec<(&str, &[u16])> =
        steps(&draft).iter().map(|step| (&*step.path, &step.expect.status[..])).collect();
    assert_eq!(sent, [("/a", &[200][..]), ("/b", &[]), ("/c", &[201])]);

    let in_a_method = "from locust import HttpUser, task\nclass U(HttpUser):\n    def ask(self):\n        \
                       return self.client.get('/ask')\n    @task\n    def a(self):\n        \
                       if self.ask().status_code == 200:\n            self.client.get('/b')\n";
    assert_eq!(steps(&convert("f.py", in_a_method).unwrap()).len(), 2);
}

#[test]
fn what_is_not_read_is_listed_with_its_line_and_never_sent() {
    for (statement, reason) in [
        ("self.client.get('/' + compute())", "`compute()` is not read"),
        ("self.client.get('/x', auth=('a', 'b'))", "`auth` is not read"),
        ("self.client.post('/x', json={'a': self.missing})", "`self.missing` is not set anywhere"),
        ("self.client.request('TRACE', '/x')", "the method is unknown"),
        ("self.client.get('/x', **options)", "the arguments are not read"),
        ("self.client.get('/x', headers=make())", "`make()` is not read"),
        ("x = 1\nx += 1\nself.client.get(f'/{x}')", "`x += 1` is not read"),
    ] {
        let text = class(&format!("self.client.get('/ok')\n{statement}"));
        let draft = convert("f.py", &text).unwrap();
        let active = steps(&draft).iter().filter(|step| step.disabled.is_none()).count();
        assert_eq!(active, 1, "{statement}");
        let left_out = left_out(&draft);
        let found =
            left_out.iter().any(|remark| remark.contains(reason) && remark.starts_with("f.py:"));
        assert!(found, "{statement}: {left_out:?}");
    }
}

#[test]
fn a_token_goes_to_the_header_of_the_class_if_all_tasks_send_it() {
    let text = "from locust import HttpUser, task\nclass U(HttpUser):\n    def on_start(self):\n        \
                r = self.client.post('/login')\n        self.token = r.json()['token']\n        \
                self.h = {'Authorization': f'Bearer {self.token}'}\n    @task\n    def a(self):\n        \
                self.client.get('/a', headers=self.h)\n    @task\n    def b(self):\n        \
                self.client.get('/b', headers=self.h)\n";
    let draft = convert("f.py", text).unwrap();
    let class = &draft.classes[0];
    assert_eq!(class.headers, [("Authorization".into(), "Bearer {token}".into())]);
    assert_eq!(class.on_start[0].extract, [("token".into(), "/token".into())]);
    assert!(class.tasks.iter().flat_map(|task| &task.steps).all(|step| step.headers.is_empty()));
}

#[test]
fn a_header_that_not_all_tasks_send_stays_with_those_that_do() {
    let text = "from locust import HttpUser, task\nclass U(HttpUser):\n    @task\n    def a(self):\n        \
                self.client.get('/a', headers={'Authorization': 'Basic eA=='})\n    @task\n    def b(self):\n        \
                self.client.get('/b')\n";
    let draft = convert("f.py", text).unwrap();
    assert!(draft.classes[0].headers.is_empty());
    assert_eq!(steps(&draft)[0].headers.len(), 1);
}

#[test]
fn a_value_that_is_generated_at_the_start_stays_the_same() {
    let text = "import uuid\nfrom locust import HttpUser, task\nclass U(HttpUser):\n    def on_start(self):\n        \
                self.id = str(uuid.uuid4())\n    @task\n    def a(self):\n        self.client.get(f'/{self.id}')\n";
    let draft = convert("f.py", text).unwrap();
    assert_eq!(draft.classes[0].variables, [("id".into(), Variable::Is("{uuid}".into()))]);
    assert_eq!(steps(&draft)[0].path, "/{id}");
}

#[test]
fn a_task_may_use_what_a_later_one_sets() {
    let text = "from locust import HttpUser, task\nclass U(HttpUser):\n    @task\n    def a(self):\n        \
                self.client.get(f'/x/{self.x}/{self.first}')\n    @task\n    def b(self):\n        \
                ids = [x['id'] for x in self.client.get('/xs').json()]\n        \
                self.first = ids[0]\n        self.y = ids\n    @task\n    def c(self):\n        self.x = self.y[1]\n        \
                self.client.get('/c')\n";
    let draft = convert("f.py", text).unwrap();
    assert_eq!(steps(&draft)[0].path, "/x/{x}/{first}");
    let extract = &draft.classes[0].tasks[1].steps[0].extract;
    assert_eq!(extract[..], [("x".into(), "/1/id".into()), ("first".into(), "/0/id".into())]);
}

#[test]
fn hostile_files_end_with_an_error_or_a_remark() {
    let circle = "A = B\nB = A\n".to_owned() + &class("self.client.get(A)\nself.client.get('/ok')");
    let calls = "def f(): return g() + g()\ndef g(): return h() + h()\ndef h(): return f()\n"
        .to_owned()
        + &class("self.client.get(f())\nself.client.get('/ok')");
    let doubled: String = (0..60).map(|n| format!("x{} = [x{n}, x{n}]\n", n + 1)).collect();
    let doubled = "x0 = ['a']\n".to_owned()
        + &doubled
        + &class("self.client.post('/', json=x60)\nself.client.get('/ok')");
    let text: String = (0..60).map(|n| format!("s{} = s{n} + s{n}\n", n + 1)).collect();
    let text =
        "s0 = 'a'\n".to_owned() + &text + &class("self.client.get(s60)\nself.client.get('/ok')");
    let mut nested = String::from("self.client.get('/ok')\n");
    for depth in 0..60 {
        let _ = writeln!(nested, "{}for a in range(20):", " ".repeat(depth));
    }
    let _ = writeln!(nested, "{}self.client.get('/many')", " ".repeat(60));
    let repeated = class("self.client.get('/ok')\nself.client.get('/' + 'a' * 10000000000)");
    let inheritance = "from locust import HttpUser\nclass A(B, HttpUser): pass\nclass B(A): pass\n"
        .to_owned()
        + &class("self.client.get('/ok')");
    for file in [circle, calls, doubled, text, class(&nested), repeated] {
        let draft = convert("f.py", &file).unwrap();
        assert!(draft.active_tasks() == 1 && !left_out(&draft).is_empty(), "{file:.200}");
    }
    assert_eq!(convert("f.py", &inheritance).unwrap().active_tasks(), 1);
}

#[test]
fn a_file_without_a_user_that_sends_requests_is_an_error() {
    for text in ["", "x = 1\n", "from locust import HttpUser\nclass U(HttpUser):\n    pass\n"] {
        assert!(convert("f.py", text).unwrap_err().to_string().contains("no user class"), "{text}");
    }
}
