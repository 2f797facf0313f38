use std::fmt::Write as _;

use super::convert;
use crate::init::{
    draft::{Body, Draft, RemarkKind, Shape, Step, Variable},
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
    assert_eq!(steps(&draft)[0].body, Body::Json(expected));
}

/// The usual successes and these statuses.
fn with(statuses: &[u16]) -> Vec<u16> {
    [&[200, 201, 202, 203, 204, 205, 206, 207, 208, 226], statuses].concat()
}

#[test]
fn conditions_on_the_status_are_expectations() {
    for (condition, expected) in [
        ("if r.status_code == 200:\n    r.success()\nelse:\n    r.failure('x')", vec![200]),
        ("if r.status_code != 201:\n    r.failure('x')", vec![201]),
        ("if r.status_code not in (200, 204):\n    r.failure('x')\n    return", vec![200, 204]),
        ("if r.status_code == 404:\n    r.success()", with(&[404])),
        (
            "if r.status_code == 404:\n    r.success()\nelif r.status_code == 500:\n    r.failure('x')",
            with(&[404]),
        ),
        (
            "if r.status_code == 404:\n    r.success()\nelif r.status_code != 200:\n    r.failure('x')",
            vec![200, 404],
        ),
        (
            "if r.status_code == 404:\n    r.success()\nif r.status_code != 200:\n    r.failure('x')",
            vec![200],
        ),
        ("if r.status_code != 404:\n    r.failure('x')\nelse:\n    r.success()", vec![404]),
        ("if r.status_code == 200:\n    r.success()\n    return\nr.failure('x')", vec![200]),
        ("if r.status_code >= 400 and r.status_code != 409:\n    r.failure('x')", vec![]),
        (
            "if r.status_code == 200 or r.status_code == 202:\n    pass\nelse:\n    r.failure('x')",
            vec![200, 202],
        ),
        (
            "if r.status_code == 200:\n    if r.status_code == 200:\n        r.success()\n    else:\n        \
             r.failure('y')\nelif r.status_code == 429:\n    r.success()\nelse:\n    r.failure('x')",
            vec![200, 429],
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
fn conditions_that_a_profile_does_not_have_are_listed() {
    for (condition, reason) in [
        (
            "if r.status_code == 404:\n    r.success()\nelif 'err' in r.text:\n    r.failure('x')",
            "`'err' in r.text`: the condition is not checked",
        ),
        (
            "if r.status_code == 404:\n    r.success()\nelif r.elapsed.total_seconds() > 1:\n    r.failure('x')",
            "a limit of the response time is a threshold",
        ),
        (
            "if r.status_code == 200:\n    if r.json()['a'] == 1:\n        r.success()\n    else:\n        \
             r.failure('y')\nelif r.status_code == 429:\n    r.success()\nelse:\n    r.failure('x')",
            "it depends on the status",
        ),
        (
            "if r.status_code == 201:\n    return\nself.client.get('/y')",
            "runs only if the condition",
        ),
        (
            "if r.status_code == 404:\n    self.client.get('/y')",
            "what happens otherwise is not read",
        ),
        (
            "if len(r.json()['a']) == 0:\n    r.failure('x')",
            "that there is an element is not checked",
        ),
    ] {
        let body: String = condition.lines().map(|line| format!("    {line}\n")).collect();
        let draft =
            converted(&format!("with self.client.get('/', catch_response=True) as r:\n{body}"));
        let left_out = left_out(&draft);
        assert!(left_out.iter().any(|text| text.contains(reason)), "{condition}: {left_out:?}");
        assert_eq!(steps(&draft).len(), 1, "{condition}");
    }
}

#[test]
fn a_verdict_without_a_condition_is_listed() {
    let task = |verdict: &str| {
        let text = class(&format!(
            "self.client.get('/ok')\nwith self.client.get('/', catch_response=True) as r:\n    {verdict}"
        ));
        convert("f.py", &text).unwrap()
    };
    let failure = task("r.failure('x')");
    assert!(steps(&failure)[1].disabled.as_ref().unwrap().contains("counts as a failure"));
    let success = task("r.success()");
    assert_eq!((steps(&success)[1].disabled.as_ref(), success.remarks.len()), (None, 1));
    assert_eq!(success.remarks[0].kind, RemarkKind::Changed);
    let below_500 = task("if r.status_code < 500: r.success()");
    assert_eq!(below_500.remarks.len(), 1, "{:?}", below_500.remarks);
}

#[test]
fn a_loop_that_a_response_ends_is_sent_once_and_listed() {
    let draft = converted(
        "for n in range(3):\n    r = self.client.get(f'/{n}')\n    if r.status_code == 200:\n        break",
    );
    let sent: Vec<(&str, usize)> =
        steps(&draft).iter().map(|step| (&*step.path, step.expect.status.len())).collect();
    assert_eq!(sent, [("/0", 0)]);
    assert!(left_out(&draft)[0].contains("after this one"), "{:?}", draft.remarks);

    let draft = converted(
        "for n in range(9):\n    if n == 1:\n        continue\n    if n == 3:\n        break\n    \
         self.client.get(f'/{n}')\nelse:\n    self.client.get('/never')",
    );
    let sent: Vec<&str> = steps(&draft).iter().map(|step| &*step.path).collect();
    assert_eq!((sent, draft.remarks.len()), (vec!["/0", "/2"], 0));
}

#[test]
fn what_statements_that_are_not_read_assign_is_unknown() {
    let draft = converted(
        "n = 1\nself.client.get(f'/{n}')\nwhile n < 3:\n    n = n + 1\nself.client.get(f'/{n}')",
    );
    let disabled: Vec<bool> = steps(&draft).iter().map(|step| step.disabled.is_some()).collect();
    assert_eq!(disabled, [false, true]);
}

#[test]
fn values_are_those_of_python() {
    for (statement, path) in [
        ("n = random.randrange(0, 100, 50)\nself.client.get(f'/{n}')", "/{n}"),
        ("self.client.get(f'/{1.0}/{7 // 2}/{sorted([3, 1])[0]}/{round(2.5)}')", "/1.0/3/1/2"),
        ("self.client.get('/', params={'a': [1, 2], 'b': True, 'c': None})", "/?a=1&a=2&b=True"),
        ("self.client.get('/', params=[('a', 1), ('a', 2)])", "/?a=1&a=2"),
    ] {
        let draft = converted(statement);
        assert_eq!((&*steps(&draft)[0].path, draft.remarks.len()), (path, 0), "{statement}");
    }
    let draft = converted("n = random.randrange(0, 100, 50)\nself.client.get(f'/{n}')");
    let tens = Variable::OneOf(vec![Value::Integer(0), Value::Integer(50)]);
    assert_eq!(draft.classes[0].tasks[0].variables, [("n".into(), tens)]);
    let draft = converted("self.client.post('/', data={'a': [1, 2], 'b': {'k': 3}, 'c': None})");
    let content_type = "application/x-www-form-urlencoded".into();
    let expected = Body::Text { text: "a=1&a=2&b=k".into(), content_type };
    assert_eq!(steps(&draft)[0].body, expected);
    let draft = converted("self.client.post('/', json={'a': 1, 'a': 2})");
    assert_eq!(
        steps(&draft)[0].body,
        Body::Json(Value::Table(vec![("a".into(), Value::Integer(2))]))
    );
}

#[test]
fn the_number_of_elements_of_a_response_is_not_known() {
    let draft = converted(
        "r = self.client.get('/a')\nif len(r.json()) > 0:\n    self.client.get('/b')\n\
         self.client.post('/n', json={'n': len(r.json())})",
    );
    let disabled: Vec<bool> = steps(&draft).iter().map(|step| step.disabled.is_some()).collect();
    assert_eq!(disabled, [false, false, true]);
}

#[test]
fn what_a_profile_has_no_equal_for_is_noted() {
    for (statement, text) in [
        ("self.client.get('/', timeout=0.2)", "`timeout=0.2` is not read"),
        ("self.client.get('/', verify=False)", "`verify=False` is not read"),
        ("self.client.post('/', data='a=1')", "sent as text/plain"),
        (
            "r = self.client.get('/')\nself.client.get('/' + r.json().get('id', 'none'))",
            "a default is not used",
        ),
    ] {
        let draft = converted(statement);
        let is_noted = draft.remarks.iter().any(|remark| {
            remark.kind == RemarkKind::Changed
                && remark.place.starts_with("f.py:")
                && remark.text.contains(text)
        });
        assert!(is_noted, "{statement}: {:?}", draft.remarks);
    }
    let draft = converted("self.client.get('/', name=f'/{random.randint(1, 3)}')");
    assert!(draft.remarks[0].text.contains("name"), "{:?}", draft.remarks);
    let draft = converted("self.client.cookies.set('a', 'b')\nself.client.get('/')");
    assert_eq!(left_out(&draft), ["f.py:7: `self.client.cookies.set('a', 'b')` is not read"]);
}

#[test]
fn every_remark_on_a_request_has_its_line() {
    let draft = convert(
        "f.py",
        &("A = ['a', 'b']\nB = ['c', 'd']\n".to_owned()
            + &class(
                "self.client.get('/' + A.pop() + B.pop())\n\
                 self.client.get('/', headers={'X-A': os.environ['KEY']})",
            )),
    )
    .unwrap();
    assert!(draft.remarks.len() > 1, "{:?}", draft.remarks);
    assert!(
        draft.remarks.iter().all(|remark| remark.place.starts_with("f.py:")),
        "{:?}",
        draft.remarks
    );
}

/// A file of these classes.
fn file(classes: &str) -> Result<Draft, crate::init::ConvertError> {
    convert("f.py", &format!("from locust import *\nfrom common import Other\n{classes}"))
}

#[test]
fn a_method_of_a_class_replaces_that_of_its_base_except_as_a_task() {
    let text = "class B(HttpUser):\n    abstract = True\n    def on_start(self):\n        \
                self.client.get('/base-start')\n    def path(self):\n        return '/base'\n    @task\n    \
                def main(self):\n        self.client.get('/base-task')\n\
                class U(B):\n    def on_start(self):\n        self.client.get('/start')\n    \
                def path(self):\n        return '/own'\n    @task(5)\n    def main(self):\n        \
                self.client.get(self.path())\n";
    let draft = file(text).unwrap();
    let class = &draft.classes[0];
    assert_eq!(class.on_start[0].path, "/start");
    // Locust collects the functions of all classes as tasks.
    let tasks: Vec<(&str, u32)> =
        class.tasks.iter().map(|task| (&*task.steps[0].path, task.weight)).collect();
    assert_eq!(tasks, [("/base-task", 1), ("/own", 5)]);
}

#[test]
fn a_class_without_users_or_without_its_base_is_listed() {
    let user = "class U(HttpUser):\n    @task\n    def t(self):\n        self.client.get('/')\n";
    for (other, reason) in [
        ("class V(HttpUser):\n    weight = 0\n", "`V` has the weight 0, so it has no users"),
        (
            "class V(Other):\n    @task\n    def t(self): pass\n",
            "`V`: its base `Other` is not in the file",
        ),
        (
            "class V(Other, HttpUser):\n    @task\n    def t(self):\n        self.client.get('/')\n",
            "`V`: what its base `Other` defines is not in the file",
        ),
        (
            "class V(HttpUser):\n    weight = compute()\n    @task\n    def t(self):\n        self.client.get('/')\n",
            "the weight is not constant",
        ),
    ] {
        let draft = file(&format!("{user}{other}")).unwrap();
        let left_out = left_out(&draft);
        assert!(left_out.iter().any(|text| text.contains(reason)), "{other}: {left_out:?}");
    }
}

#[test]
fn requests_go_to_the_host_of_their_class() {
    let user = |name: &str, host: &str, url: &str| {
        format!(
            "class {name}(HttpUser):\n    host = '{host}'\n    @task\n    def t(self):\n        self.client.get('/ok')\n    \
                 @task\n    def u(self):\n        self.client.get('{url}')\n"
        )
    };
    let draft = file(&user("U", "http://own/api", "http://own/api/x")).unwrap();
    assert_eq!(draft.classes[0].tasks[1].steps[0].path, "/x");
    for elsewhere in ["http://other/x", "http://own/x", "http://own/apix"] {
        let draft = file(&user("U", "http://own/api", elsewhere)).unwrap();
        assert!(draft.classes[0].tasks[1].disabled.is_some(), "{elsewhere}");
        assert!(left_out(&draft)[0].contains("another host"), "{elsewhere}");
    }
    let two = user("U", "http://own", "/x") + &user("V", "http://second", "/x");
    let draft = file(&two).unwrap();
    assert_eq!((draft.classes.len(), left_out(&draft).len()), (1, 1));
}

#[test]
fn a_sequence_repeats_its_tasks_and_shares_its_variables() {
    let text = "import random\nclass S(SequentialTaskSet):\n    @task\n    def a(self):\n        \
                n = random.randint(1, 5)\n        self.client.get(f'/a/{n}')\n    @task(2)\n    \
                def b(self):\n        n = random.randint(1, 6)\n        self.client.get(f'/b/{n}')\n\
                class U(HttpUser):\n    tasks = [S]\n";
    let draft = file(text).unwrap();
    let paths: Vec<&str> = steps(&draft).iter().map(|step| &*step.path).collect();
    assert_eq!(paths, ["/a/{n}", "/b/{n_2}", "/b/{n_3}"]);
    let variables = &draft.classes[0].tasks[0].variables;
    let names: Vec<&str> = variables.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["n", "n_2", "n_3"]);
}

#[test]
fn a_task_with_a_file_is_a_comment_until_the_file_is_there() {
    let draft = convert(
        "f.py",
        &class("self.client.get('/')\nself.client.post('/f', files={'f': open('x.png', 'rb')})"),
    )
    .unwrap();
    let disabled = steps(&draft)[1].disabled.as_ref();
    assert!(disabled.is_some_and(|reason| reason.contains("put the file x.png")), "{disabled:?}");
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
