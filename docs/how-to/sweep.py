from flowers.steps import fit, split
from sklearn.ensemble import RandomForestClassifier

if __name__ == "__main__":
    tables = split("data/flowers.csv", "out/tables")
    for depth in (1, 3):
        model = RandomForestClassifier(
            max_depth=depth, n_estimators=10, random_state=0, n_jobs=2
        )
        print(fit(tables, model, "out/model.pkl", "out/scores.json")["scores_path"])
